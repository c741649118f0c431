import { X } from "lucide-react";
import { Dialog as RadixDialog } from "radix-ui";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { toast } from "sonner";
import { Problem } from "@/lib/api";
import { Button, IconButton } from "./Button";
import { Field, Input } from "./Fields";
import { Faults } from "./States";

/** A dialog, or with side a drawer that keeps the page beside it in view. */
export function Dialog({
  open,
  onClose,
  title,
  lead,
  children,
  footer,
  wide,
  side,
}: {
  open: boolean;
  onClose: () => void;
  title: string;
  lead?: ReactNode;
  children?: ReactNode;
  footer?: ReactNode;
  wide?: boolean;
  side?: boolean;
}) {
  const place = side
    ? "inset-y-0 right-0 w-full max-w-xl border-l"
    : `left-1/2 top-1/2 max-h-[90dvh] w-[calc(100vw-2rem)] -translate-x-1/2 -translate-y-1/2 rounded-lg border ${wide ? "max-w-3xl" : "max-w-lg"}`;
  const opener = useRef<Element | null>(null);
  return (
    <RadixDialog.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <RadixDialog.Portal>
        <RadixDialog.Overlay className="fixed inset-0 z-40 bg-black/40" />
        <RadixDialog.Content
          // What is still loading has nothing to focus but the close button: then the dialog has it.
          onOpenAutoFocus={(event) => {
            opener.current = openerOf(document.activeElement);
            const content = event.currentTarget;
            if (!(content instanceof HTMLElement)) return;
            if (content.querySelectorAll("a[href], button, input, select, textarea").length > 1)
              return;
            event.preventDefault();
            content.focus();
          }}
          // Without a trigger of its own Radix would leave the focus nowhere.
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            giveFocusBack(opener.current);
          }}
          {...(lead ? {} : { "aria-describedby": undefined })}
          className={`fixed z-40 flex flex-col border-line bg-card shadow-float ${place}`}
        >
          <div className="px-5 pt-4 pr-14">
            <div className="min-w-0">
              <RadixDialog.Title className="font-semibold text-lg">{title}</RadixDialog.Title>
              {lead && (
                <RadixDialog.Description className="text-soft text-sm">
                  {lead}
                </RadixDialog.Description>
              )}
            </div>
          </div>
          <div className="min-h-0 flex-1 overflow-y-auto px-5 py-4">{children}</div>
          {footer && (
            <div className="flex flex-wrap justify-end gap-2 border-line border-t px-5 py-3 empty:hidden">
              {footer}
            </div>
          )}
          {/* Last in order, so that what the dialog is about has the focus first. */}
          <div className="absolute top-3 right-3">
            <RadixDialog.Close asChild>
              <IconButton label="Close">
                <X aria-hidden className="size-4" />
              </IconButton>
            </RadixDialog.Close>
          </div>
        </RadixDialog.Content>
      </RadixDialog.Portal>
    </RadixDialog.Root>
  );
}

/** Who gets the focus back: of a menu, which closes, the button that opened it. */
function openerOf(active: Element | null): Element | null {
  const menu = active?.closest('[role="menu"]');
  return menu ? document.getElementById(menu.getAttribute("aria-labelledby") ?? "") : active;
}

/** To where it was; if that is gone, to the dialog below or to the page's title. */
function giveFocusBack(opener: Element | null): void {
  // A page or a dialog that came meanwhile has it already.
  if (document.activeElement !== document.body) return;
  const places = [
    opener,
    document.querySelector('[role="dialog"]'),
    document.querySelector("main h1"),
  ];
  for (const place of places) {
    if (place instanceof HTMLElement && place !== document.body && place.isConnected) {
      place.focus({ preventScroll: true });
      if (document.activeElement === place) return;
    }
  }
}

/** Asks before an act that cannot be taken back; with `reason` it also asks why. */
export function Confirm({ open, ...asked }: Asked & { open: boolean }) {
  // Each time begins anew: no error and no reason of an earlier one stands there.
  return open ? <Asking {...asked} /> : null;
}

type Asked = {
  onClose: () => void;
  title: string;
  children: ReactNode;
  verb: string;
  /** The word for leaving all as it is, where "Cancel" could be taken for the act itself. */
  keep?: string;
  danger?: boolean;
  /** Something that the question needs is not said yet. */
  disabled?: boolean;
  reason?: "required" | "optional";
  /** Resolves when it is done; its error is shown here and nothing closes. */
  run: (reason: string) => Promise<unknown>;
};

const STALE =
  "Somebody changed this meanwhile, so nothing was done. Close this, look at what is there now, and decide again.";

function Asking({
  onClose,
  title,
  children,
  verb,
  keep = "Cancel",
  danger,
  disabled,
  reason,
  run,
}: Asked) {
  const [why, setWhy] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const there = useRef(true);
  useEffect(() => {
    there.current = true;
    return () => {
      there.current = false;
    };
  }, []);
  const act = async () => {
    setBusy(true);
    setError(null);
    try {
      await run(why);
      // It may have been closed meanwhile, and another one opened.
      if (there.current) onClose();
    } catch (failure) {
      if (there.current) setError(failure);
      else toast.error(`${title}: ${failure instanceof Error ? failure.message : failure}`);
    } finally {
      setBusy(false);
    }
  };
  const lacking = reason === "required" && why.trim() === "";
  const stale = error instanceof Problem && error.stale;
  return (
    <Dialog
      open
      onClose={onClose}
      title={title}
      footer={
        <>
          <Button onClick={onClose}>{keep}</Button>
          <Button
            look={danger ? "danger" : "primary"}
            disabled={lacking || disabled}
            busy={busy || stale}
            onClick={act}
          >
            {verb}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-3 text-sm">
        {children}
        {reason && (
          <Field
            label={reason === "required" ? "Reason" : "Reason (optional)"}
            hint="It stands in the audit log."
          >
            {(props) => (
              <Input
                {...props}
                value={why}
                maxLength={500}
                onChange={(event) => setWhy(event.target.value)}
              />
            )}
          </Field>
        )}
        {error !== null && (
          <div role="alert" className="rounded-md bg-bad-tint p-3 text-bad">
            {stale ? STALE : error instanceof Error ? error.message : String(error)}
            {!stale && <Faults error={error} />}
          </div>
        )}
      </div>
    </Dialog>
  );
}

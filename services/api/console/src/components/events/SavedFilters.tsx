import { Bookmark, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field, Input } from "@/components/Fields";
import { Menu } from "@/components/Menu";
import { type EventFilters, isEmpty, queryOf } from "./filters";
import { filtersOf, forget, NAME_MAX, SAVED_MAX, save, useSaved } from "./saved";

/** Filters with a name, kept in this browser. */
export function SavedFilters({
  filters,
  apply,
}: {
  filters: EventFilters;
  apply: (filters: EventFilters) => void;
}) {
  const saved = useSaved();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Menu
        trigger={
          <Button className="flex-1 sm:flex-none">
            <Bookmark aria-hidden className="size-4" /> Saved
          </Button>
        }
        items={[
          ...saved.map((each) => ({
            title: <span className="max-w-64 truncate">{each.name}</span>,
            run: () => apply(filtersOf(each)),
          })),
          {
            title: saved.length === 0 ? "Save this filter…" : "Save or remove…",
            run: () => setOpen(true),
          },
        ]}
      />
      {isOpen && <SavedDialog filters={filters} onClose={() => setOpen(false)} />}
    </>
  );
}

function SavedDialog({ filters, onClose }: { filters: EventFilters; onClose: () => void }) {
  const saved = useSaved();
  const [name, setName] = useState("");
  const keep = (event: FormEvent) => {
    event.preventDefault();
    save(name.trim(), filters);
    setName("");
  };
  return (
    <Dialog open onClose={onClose} title="Saved filters" lead="They are kept in this browser only.">
      {isEmpty(filters) ? (
        <p className="text-sm">Nothing is filtered now. Choose a filter, then save it here.</p>
      ) : (
        <form onSubmit={keep} className="flex items-end gap-2">
          <Field label="Name for the present filter" className="flex-1">
            {(props) => (
              <Input
                {...props}
                value={name}
                maxLength={NAME_MAX}
                onChange={(event) => setName(event.target.value)}
              />
            )}
          </Field>
          <Button type="submit" look="primary" disabled={name.trim() === ""}>
            Save
          </Button>
        </form>
      )}
      {saved.length > 0 && (
        <ul className="mt-4 flex flex-col divide-y divide-line border-line border-t">
          {saved.map((each) => (
            <li key={each.name} className="flex items-center gap-2 py-1.5 text-sm">
              <div className="min-w-0 flex-1">
                <p className="truncate font-medium">{each.name}</p>
                <p className="truncate font-mono text-soft text-xs">
                  {decodeURIComponent(queryOf(filtersOf(each)).replaceAll("+", " "))}
                </p>
              </div>
              <IconButton label={`Remove ${each.name}`} onClick={() => forget(each.name)}>
                <Trash2 aria-hidden className="size-4" />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      {saved.length >= SAVED_MAX && (
        <p className="mt-3 text-soft text-xs">
          {SAVED_MAX} are kept; the oldest gives way to the next.
        </p>
      )}
    </Dialog>
  );
}

import { useMutation } from "@tanstack/react-query";
import { Button } from "@/components/Button";
import { Code, Json } from "@/components/Code";
import { Failed } from "@/components/States";
import { Problem } from "@/lib/api";
import { bytes } from "@/lib/format";
import { parse } from "@/lib/json";
import { key } from "@/lib/key";
import { duration } from "@/lib/time";
import type { Operation } from "./openapi";
import { READ_BYTES_MAX, readSome, target, type Values } from "./request";

type Answer = { status: number; ms: number; text: string; cut: boolean };

/** Sends a GET as the console's own caller. Whatever comes back is shown, refusals too. */
export function TryIt({ operation, values }: { operation: Operation; values: Values }) {
  const address = target(operation, values);
  const lacking = (operation.parameters ?? []).filter(
    (one) => one.required && one.in !== "header" && !values[one.name],
  );
  const send = useMutation({ mutationFn: () => ask(address) });
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-3">
        <Button
          look="primary"
          disabled={lacking.length > 0 || send.isPending}
          onClick={() => send.mutate()}
        >
          Send GET
        </Button>
        {lacking.length > 0 && (
          <span className="text-soft text-sm">
            Fill in {lacking.map((one) => one.name).join(", ")} first.
          </span>
        )}
        {send.data && (
          <output className="tabular text-sm">
            {send.data.status} in {duration(send.data.ms)}
          </output>
        )}
      </div>
      {send.error && <Failed error={send.error} />}
      {send.data && <Shown answer={send.data} />}
    </div>
  );
}

async function ask(address: string): Promise<Answer> {
  const value = key.read();
  const began = performance.now();
  try {
    const response = await fetch(address, {
      headers: value === null ? {} : { Authorization: `Bearer ${value}` },
    });
    const read = await readSome(response);
    return { status: response.status, ms: performance.now() - began, ...read };
  } catch {
    throw new Problem(0, "unreachable", "The api does not answer", "Nothing came back from it.");
  }
}

function Shown({ answer }: { answer: Answer }) {
  return (
    <>
      {answer.cut && (
        <p className="text-soft text-sm">
          The first {bytes(READ_BYTES_MAX)}; the rest was not read.
        </p>
      )}
      <Body answer={answer} />
    </>
  );
}

function Body({ answer }: { answer: Answer }) {
  if (answer.text === "") return <p className="text-soft text-sm">The answer is empty.</p>;
  if (!answer.cut) {
    try {
      return <Json value={parse(answer.text)} label="Answer" />;
    } catch {
      // Not JSON: metrics and exports are text.
    }
  }
  return <Code text={answer.text} label="Answer" />;
}

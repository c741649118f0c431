import { Code, Json } from "@/components/Code";
import type { Schemas } from "@/lib/api";
import { bytes } from "@/lib/format";
import { parse } from "@/lib/json";

/** What was in it, byte by byte where it is no text; and the record's headers. */
export function Payload({ found }: { found: Schemas["DeadLetter"] }) {
  const { letter, payload_text: text, payload_base64: base64 } = found;
  const headers = Object.keys(letter.headers).length > 0;
  // What a delivery sends is with the delivery, and not copied into its dead letter.
  if (letter.stage === "delivery") return null;
  return (
    <>
      {headers && (
        <section>
          <h3 className="mb-1 font-medium">Record headers</h3>
          <Json value={letter.headers} label="record headers" />
        </section>
      )}
      <section>
        <h3 className="mb-1 font-medium">Payload</h3>
        {text !== null && text !== "" ? (
          <Text text={text} />
        ) : base64 ? (
          <>
            <p className="mb-1 text-soft">It is no text: these are its bytes in base64.</p>
            <Code text={base64} label="payload in base64" />
          </>
        ) : (
          <p className="text-soft">
            {letter.payload_bytes > 0
              ? `Its ${bytes(letter.payload_bytes)} are not kept here.`
              : "It has none."}
          </p>
        )}
      </section>
    </>
  );
}

function Text({ text }: { text: string }) {
  const value = parsed(text);
  return value === undefined ? (
    <Code text={text} label="payload" />
  ) : (
    <Json value={value} label="payload" />
  );
}

/** JSON only where showing it anew loses nothing: numbers too long for the browser stay as text. */
export function parsed(text: string): unknown {
  if (/\d{16}/.test(text)) return undefined;
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

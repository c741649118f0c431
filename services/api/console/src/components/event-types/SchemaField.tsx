import { useState } from "react";
import { Button } from "@/components/Button";
import { JsonEditor } from "@/components/editor/JsonEditor";

const START = '{\n  "type": "object"\n}';

/** A type has a schema or has none, and none is said: an empty editor would look like a flaw. */
export function SchemaField({
  text,
  flaws,
  unread,
  disabled,
  onChange,
}: {
  text: string;
  flaws: { pointer: string; message: string }[];
  /** Why the text could not be read as JSON. */
  unread: string;
  disabled: boolean;
  onChange: (text: string) => void;
}) {
  const [has, setHas] = useState(text !== "");
  const put = (there: boolean) => {
    setHas(there);
    onChange(there ? START : "");
  };
  return (
    <div className="flex min-w-0 flex-col gap-1">
      <div className="flex items-center justify-between gap-2">
        <p className="font-medium text-[13px]">JSON Schema of the data</p>
        {!disabled && (
          <Button small onClick={() => put(!has)}>
            {has ? "Have none" : "Add a schema"}
          </Button>
        )}
      </div>
      {has && (
        <JsonEditor
          label="JSON Schema of the data"
          value={text}
          onChange={onChange}
          diagnostics={flaws}
          readOnly={disabled}
          height="14rem"
        />
      )}
      <p className="text-soft text-xs">
        {has
          ? "Events whose data breaks it are refused with 422 and pointers. Stored ones stay."
          : "None: whatever is JSON is taken."}
      </p>
      {unread && (
        <p role="alert" className="text-bad text-xs">
          This is not JSON: {unread}
        </p>
      )}
    </div>
  );
}

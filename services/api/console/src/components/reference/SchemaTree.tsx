import { ChevronRight } from "lucide-react";
import { useState } from "react";
import type { Document, Schema } from "./openapi";
import { boundsOf, type Child, childrenOf, kindOf, resolve } from "./schema";

const DEPTH_MAX = 8;

/** A schema to read: what lies deeper is drawn when it is opened, so what holds itself ends. */
export function SchemaTree({ document, schema }: { document: Document; schema: Schema }) {
  const children = childrenOf(document, schema);
  if (children.length === 0) {
    return <p className="text-sm">{kindOf(document, schema)}</p>;
  }
  return <Members document={document} members={children} depth={0} />;
}

function Members({
  document,
  members,
  depth,
}: {
  document: Document;
  members: Child[];
  depth: number;
}) {
  return (
    <ul className="flex flex-col text-sm">
      {members.map((member) => (
        <Member key={member.name} document={document} member={member} depth={depth} />
      ))}
    </ul>
  );
}

function Member({ document, member, depth }: { document: Document; member: Child; depth: number }) {
  const [open, setOpen] = useState(false);
  const children = depth < DEPTH_MAX ? childrenOf(document, member.schema) : [];
  const said = member.schema.description ?? resolve(document, member.schema).schema.description;
  const bounds = boundsOf(document, member.schema);
  const head = (
    <>
      <code className="break-all font-medium font-mono text-[13px]">{member.name}</code>
      <span className="text-soft text-xs">{kindOf(document, member.schema)}</span>
      {member.required && <span className="text-xs">required</span>}
    </>
  );
  return (
    <li className="border-line border-b py-1.5 last:border-0">
      {children.length > 0 ? (
        <button
          type="button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          className="flex w-full flex-wrap items-center gap-x-2 text-left"
        >
          <ChevronRight
            aria-hidden
            className={`size-3.5 shrink-0 transition-transform ${open ? "rotate-90" : ""}`}
          />
          {head}
        </button>
      ) : (
        <div className="flex flex-wrap items-center gap-x-2 pl-[22px]">{head}</div>
      )}
      {(said || bounds.length > 0) && (
        <p className="break-words pl-[22px] text-soft text-xs">
          {[said, bounds.join(", ")].filter(Boolean).join(" · ")}
        </p>
      )}
      {open && (
        <div className="mt-1 ml-[7px] border-line border-l pl-3">
          <Members document={document} members={children} depth={depth + 1} />
        </div>
      )}
    </li>
  );
}

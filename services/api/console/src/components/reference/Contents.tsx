import { Link } from "@tanstack/react-router";
import { Method } from "./Method";
import { find, type Operation } from "./openapi";

/** Every operation by its tag; what is typed leaves some. */
export function Contents({
  all,
  q,
  op,
  problems,
}: {
  all: Operation[];
  q: string;
  op: string | undefined;
  /** Slugs that fit what was typed. */
  problems: string[];
}) {
  const found = find(all, q);
  const tags = [...new Set(found.map((one) => one.tag))].sort();
  return (
    <nav aria-label="Operations" className="flex flex-col gap-4 p-2">
      {tags.map((tag) => (
        <div key={tag}>
          <p className="px-2 pb-1 font-medium text-soft text-xs first-letter:uppercase">{tag}</p>
          <ul>
            {found
              .filter((one) => one.tag === tag)
              .map((one) => (
                <Entry key={one.operationId} q={q} op={one.operationId} current={op}>
                  <Method name={one.method} />
                  <span className="min-w-0 truncate font-mono text-[13px]" title={one.path}>
                    {one.path}
                  </span>
                </Entry>
              ))}
          </ul>
        </div>
      ))}
      {problems.length > 0 && (
        <div>
          <p className="px-2 pb-1 font-medium text-soft text-xs">Problems</p>
          <ul>
            {problems.map((slug) => (
              <Entry key={slug} q={q} op={`problem/${slug}`} current={op}>
                <span className="truncate font-mono text-[13px]">{slug}</span>
              </Entry>
            ))}
          </ul>
        </div>
      )}
      {found.length + problems.length === 0 && (
        <p className="px-2 py-6 text-center text-soft text-sm">
          No operation or problem has these words.
        </p>
      )}
    </nav>
  );
}

function Entry({
  q,
  op,
  current,
  children,
}: {
  q: string;
  op: string;
  current: string | undefined;
  children: React.ReactNode;
}) {
  return (
    <li>
      <Link
        to="/reference"
        search={q ? { q, op } : { op }}
        {...(op === current ? { "aria-current": "true" as const } : {})}
        className="flex items-center gap-1 rounded-md px-2 py-1 hover:bg-sunken aria-[current]:bg-accent-tint"
      >
        {children}
      </Link>
    </li>
  );
}

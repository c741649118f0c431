import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { Input } from "@/components/Fields";
import { Card, Page } from "@/components/Page";
import { Contents } from "@/components/reference/Contents";
import { OperationView } from "@/components/reference/OperationView";
import { type Document, find, operations, useDocument } from "@/components/reference/openapi";
import { Empty, Failed, Loaded, Loading } from "@/components/States";
import { api, type Schemas } from "@/lib/api";
import { plural } from "@/lib/format";

const route = getRouteApi("/reference");
const PROBLEM = "problem/";
type Kinds = Record<string, Schemas["Kind"]>;

/** The api as it describes itself: fetched from it, so it fits its version and works offline. */
export function Reference() {
  const document = useDocument();
  return (
    <Page
      title="API reference"
      lead={
        <>
          From this api's own{" "}
          <a href="/openapi.json" className="text-accent underline underline-offset-2">
            openapi.json
          </a>
          . Nothing is loaded from elsewhere.
        </>
      }
    >
      <Loaded query={document} rows={10}>
        {(found) => <Whole document={found} />}
      </Loaded>
    </Page>
  );
}

function Whole({ document }: { document: Document }) {
  const { q = "", op } = route.useSearch();
  const navigate = useNavigate();
  const problems = api.useQuery("get", "/problems", {}, { staleTime: Number.POSITIVE_INFINITY });
  const all = useMemo(() => operations(document), [document]);
  const kinds: Kinds = problems.data ?? {};
  const slugs = Object.keys(kinds).filter((slug) => fits(slug, kinds[slug]?.title ?? "", q));
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[20rem_minmax(0,1fr)]">
      <Card flush className={`lg:sticky lg:top-16 ${op ? "hidden lg:block" : ""}`}>
        <div className="border-line border-b p-3">
          <Input
            type="search"
            aria-label="Find an operation or a problem"
            placeholder="replay, /events, key-exists"
            defaultValue={q}
            onChange={(event) =>
              void navigate({
                to: "/reference",
                search: { q: event.target.value, op },
                replace: true,
              })
            }
          />
        </div>
        <div className="lg:max-h-[calc(100dvh-9rem)] lg:overflow-y-auto">
          <Contents all={all} q={q} op={op} problems={slugs} />
          {problems.error ? (
            <Failed error={problems.error} retry={() => problems.refetch()} />
          ) : null}
        </div>
      </Card>
      <div className="min-w-0">
        {op && (
          <Link
            to="/reference"
            search={q ? { q } : {}}
            className="mb-3 inline-block text-accent text-sm underline underline-offset-2 lg:hidden"
          >
            All operations
          </Link>
        )}
        {op?.startsWith(PROBLEM) ? (
          problems.isPending ? (
            <Loading />
          ) : (
            <ProblemView slug={op.slice(PROBLEM.length)} kinds={kinds} />
          )
        ) : (
          <Chosen document={document} op={op} kinds={kinds} found={find(all, q).length} />
        )}
      </div>
    </div>
  );
}

function fits(slug: string, title: string, q: string): boolean {
  const whole = `${slug} ${title}`.toLowerCase();
  return q
    .toLowerCase()
    .split(/\s+/)
    .every((word) => whole.includes(word));
}

function Chosen({
  document,
  op,
  kinds,
  found,
}: {
  document: Document;
  op: string | undefined;
  kinds: Kinds;
  found: number;
}) {
  const operation = operations(document).find((one) => one.operationId === op);
  if (operation) {
    return (
      <OperationView
        key={operation.operationId}
        document={document}
        operation={operation}
        kinds={kinds}
      />
    );
  }
  if (op) {
    return (
      <Card>
        <Empty title="This api has no such operation">
          The link may be from another version. Find it by its path or what it does.
        </Empty>
      </Card>
    );
  }
  return (
    <Card className="hidden lg:block">
      <Empty title={`${plural(found, "operation")} to choose from`}>
        Each has its parameters, its body and answers, what can go wrong, and a command to copy. A
        GET can be tried here.
      </Empty>
    </Card>
  );
}

function ProblemView({ slug, kinds }: { slug: string; kinds: Kinds }) {
  const kind = Object.hasOwn(kinds, slug) ? kinds[slug] : undefined;
  if (kind === undefined) {
    return (
      <Card>
        <Empty title="This api has no such problem">The link may be from another version.</Empty>
      </Card>
    );
  }
  return (
    <Card title={kind.title} aside={`status ${kind.status}`}>
      <p className="max-w-3xl text-sm">{kind.explanation}</p>
      <p className="mt-3 text-sm">
        <span className="text-soft">Its type is </span>
        <a
          href={`/problems/${slug}`}
          className="break-all font-mono text-[13px] text-accent underline underline-offset-2"
        >
          /problems/{slug}
        </a>
      </p>
    </Card>
  );
}

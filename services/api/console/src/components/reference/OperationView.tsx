import { Link } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { Code, Json } from "@/components/Code";
import { Field, Input, Select } from "@/components/Fields";
import { Card } from "@/components/Page";
import { useSession } from "@/lib/session";
import { Method } from "./Method";
import { type Document, type Operation, type Parameter, scopeOf, slugsOf } from "./openapi";
import { curl, type Values } from "./request";
import { SchemaTree } from "./SchemaTree";
import { boundsOf, kindOf, resolve, sample } from "./schema";
import { TryIt } from "./TryIt";

/** Everything that the api says about one operation. */
export function OperationView({
  document,
  operation,
  kinds,
}: {
  document: Document;
  operation: Operation;
  kinds: Record<string, { title: string }>;
}) {
  const [values, setValues] = useState<Values>({});
  const session = useSession();
  const scope = scopeOf(operation);
  const [media, schema] = bodyOf(operation);
  const body = schema ? JSON.stringify(sample(document, schema), null, 2) : undefined;
  const asksKey = session.state === "ready" && session.session.auth_mode === "keys";
  const command = curl(operation, {
    origin: window.location.origin,
    values,
    body,
    media,
    key: asksKey && scope !== undefined,
  });
  const slugs = slugsOf(operation, kinds);
  return (
    <div className="flex min-w-0 flex-col gap-5">
      <div className="min-w-0">
        <h2 className="font-semibold text-lg">{operation.summary}</h2>
        <p className="flex items-baseline gap-1">
          <Method name={operation.method} />
          <code className="break-all font-mono text-sm">{operation.path}</code>
        </p>
        {operation.description && (
          <p className="mt-2 max-w-3xl whitespace-pre-line text-sm">{operation.description}</p>
        )}
        <p className="mt-2 text-soft text-sm">{needs(scope)}</p>
      </div>
      {(operation.parameters?.length ?? 0) > 0 && (
        <Card title="Parameters">
          <div className="grid gap-4 sm:grid-cols-2">
            {operation.parameters?.map((parameter) => (
              <ParameterField
                key={`${parameter.in}/${parameter.name}`}
                document={document}
                parameter={parameter}
                value={values[parameter.name] ?? ""}
                onChange={(value) => setValues({ ...values, [parameter.name]: value })}
              />
            ))}
          </div>
        </Card>
      )}
      <Card title="As a command">
        <Code text={command} label="cURL command" />
      </Card>
      {operation.method === "get" && operation.path !== "/ws" && (
        <Card title="Try it">
          <TryIt key={operation.operationId} operation={operation} values={values} />
        </Card>
      )}
      {schema && (
        <Card title={`Body, ${media}`}>
          <SchemaTree document={document} schema={schema} />
          <h3 className="mt-4 mb-1 font-medium text-[13px]">Example, made from the schema</h3>
          <Json value={sample(document, schema)} label="Example body" />
        </Card>
      )}
      <Answers document={document} operation={operation} />
      <Card title="Problems">
        {slugs.length > 0 ? (
          <ul className="flex flex-col gap-1 text-sm">
            {slugs.map((slug) => (
              <li key={slug} className="min-w-0">
                <Link
                  to="/reference"
                  search={{ op: `problem/${slug}` }}
                  className="font-mono text-[13px] text-accent underline underline-offset-2"
                >
                  {slug}
                </Link>{" "}
                <span className="text-soft">{kinds[slug]?.title}</span>
              </li>
            ))}
          </ul>
        ) : (
          <p className="text-soft text-sm">
            The document names none for this operation. Whatever goes wrong comes as a problem whose
            type is one of those in the list.
          </p>
        )}
      </Card>
    </div>
  );
}

function bodyOf(operation: Operation) {
  const [media, content] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  return [media ?? "application/json", content?.schema] as const;
}

function needs(scope: string | null | undefined): ReactNode {
  if (scope === undefined) return "Needs no key.";
  if (scope === null) return "Needs a key of any scope, where keys are asked for.";
  return (
    <>
      Needs the scope <code className="font-mono text-[13px]">{scope}</code>, where keys are asked
      for.
    </>
  );
}

function ParameterField({
  document,
  parameter,
  value,
  onChange,
}: {
  document: Document;
  parameter: Parameter;
  value: string;
  onChange: (value: string) => void;
}) {
  const schema = parameter.schema ?? {};
  const { schema: plain } = resolve(document, schema);
  const choices = plain.type === "boolean" ? ["true", "false"] : plain.enum;
  const said = parameter.description ?? plain.description;
  const hint = [said, kindOf(document, schema), ...boundsOf(document, schema)].filter(Boolean);
  return (
    <Field
      label={
        <>
          <code className="font-mono">{parameter.name}</code>{" "}
          <span className="font-normal text-soft text-xs">
            in {parameter.in}
            {parameter.required ? ", required" : ""}
          </span>
        </>
      }
      hint={hint.join(" · ")}
    >
      {(props) =>
        choices ? (
          <Select {...props} value={value} onChange={(event) => onChange(event.target.value)}>
            <option value="">not sent</option>
            {choices
              .filter((choice) => choice !== null)
              .map((choice) => (
                <option key={String(choice)}>{String(choice)}</option>
              ))}
          </Select>
        ) : (
          <Input {...props} value={value} onChange={(event) => onChange(event.target.value)} />
        )
      }
    </Field>
  );
}

function Answers({ document, operation }: { document: Document; operation: Operation }) {
  const good = Object.entries(operation.responses).filter(([status]) => status.startsWith("2"));
  return (
    <Card title="Answers">
      <div className="flex flex-col gap-5">
        {good.map(([status, response]) => {
          const [media, content] = Object.entries(response.content ?? {})[0] ?? [];
          const schema = content?.schema;
          const { description } = schema ? resolve(document, schema).schema : {};
          return (
            <section key={status} className="min-w-0">
              <h3 className="mb-1 font-medium text-sm">
                <span className="tabular">{status}</span>{" "}
                <span className="font-normal text-soft">{media ?? "nothing in the body"}</span>
              </h3>
              {description && (
                <p className="mb-2 max-w-3xl whitespace-pre-line text-soft text-sm">
                  {description}
                </p>
              )}
              {schema && <SchemaTree document={document} schema={schema} />}
            </section>
          );
        })}
      </div>
    </Card>
  );
}

import { useQuery } from "@tanstack/react-query";
import { call } from "@/lib/api";

export type Schema = {
  $ref?: string;
  type?: string | string[];
  title?: string;
  description?: string;
  format?: string;
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  examples?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  prefixItems?: Schema[];
  additionalProperties?: boolean | Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
};
export type Parameter = {
  name: string;
  in: "path" | "query" | "header";
  description?: string;
  required?: boolean;
  schema?: Schema;
};
type Content = Record<string, { schema?: Schema }>;
type Method = "get" | "post" | "put" | "patch" | "delete";
type Raw = {
  operationId: string;
  tags?: string[];
  summary?: string;
  description?: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Content };
  responses: Record<string, { description?: string; content?: Content }>;
  security?: Record<string, string[]>[];
};
export type Document = {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Partial<Record<Method, Raw>>>;
  components: {
    schemas: Record<string, Schema>;
    securitySchemes?: Record<string, { description?: string }>;
  };
};
export type Operation = Raw & { method: Method; path: string; tag: string };

const METHODS: Method[] = ["get", "post", "put", "patch", "delete"];

/** The document that the api writes about itself. It changes with the api's version only. */
export function useDocument() {
  return useQuery({
    queryKey: ["openapi"],
    queryFn: () => call<Document>("GET", "/openapi.json"),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function operations(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const raw = item[method];
      return raw ? [{ ...raw, method, path, tag: raw.tags?.[0] ?? "other" }] : [];
    }),
  );
}

/** Those that have every typed word somewhere in method, path, summary or tag. */
export function find(all: Operation[], text: string): Operation[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return all.filter((one) => {
    const whole = `${one.method} ${one.path} ${one.summary ?? ""} ${one.tag}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
}

/** The scope that it needs: null where a key of any scope will do, undefined where none is needed. */
export function scopeOf(operation: Operation): string | null | undefined {
  const needed = operation.security?.[0];
  if (needed === undefined) return undefined;
  return Object.values(needed)[0]?.[0] ?? null;
}

const SLUG = /^[a-z]+(-[a-z]+)*$/;

/** The problems that it names, where it does; the description of such an answer is their slugs. */
export function slugsOf(operation: Operation, known: Record<string, unknown>): string[] {
  return Object.values(operation.responses).flatMap(({ description }) =>
    (description ?? "").split(", ").filter((slug) => SLUG.test(slug) && Object.hasOwn(known, slug)),
  );
}

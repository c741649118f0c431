const LOOKS: Record<string, string> = {
  get: "text-info",
  post: "text-ok",
  put: "text-warn",
  patch: "text-warn",
  delete: "text-bad",
};

export function Method({ name }: { name: string }) {
  return (
    <span
      className={`inline-block w-14 shrink-0 font-mono font-semibold text-xs uppercase ${LOOKS[name] ?? ""}`}
    >
      {name}
    </span>
  );
}

import type { ErrorComponentProps } from "@tanstack/react-router";
import { Page } from "./Page";
import { Failed } from "./States";

/** A page that could not be drawn: the others still work. */
export function Crashed({ error }: ErrorComponentProps) {
  return (
    <Page title="This page could not be shown">
      <Failed error={error} retry={() => window.location.reload()} />
    </Page>
  );
}

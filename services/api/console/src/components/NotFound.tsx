import { Link } from "@tanstack/react-router";
import { Button } from "./Button";
import { Page } from "./Page";
import { Empty } from "./States";

export function NotFound() {
  return (
    <Page title="Nothing is here">
      <Empty
        title="No page of the console has this address"
        actions={
          <Button asChild>
            <Link to="/">Overview</Link>
          </Button>
        }
      >
        It may have been mistyped, or belong to another version.
      </Empty>
    </Page>
  );
}

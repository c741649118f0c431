import { useEffect } from "react";
import { signIn } from "@/lib/session";
import { KeyForm } from "./KeyForm";

/** Shown instead of every page while the api wants a key and has none that it knows. */
export default function SignIn() {
  useEffect(() => {
    document.title = "Sign in · Oncely";
  }, []);
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-4 px-5">
      <h1 className="font-semibold text-2xl tracking-tight">Oncely</h1>
      <p className="text-soft text-sm">
        This api wants a key. Make one with <code className="font-mono">oncely keys create</code>,
        with the scopes that you need; <code className="font-mono">events:read</code> is enough to
        look around.
      </p>
      <KeyForm signIn={signIn} />
    </main>
  );
}

import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { toast } from "sonner";
import { client, Problem } from "./api";
import { randomHex } from "./freshKey";

/** A payment that the rule templates match, with an id that nobody else has. */
async function sendTestEvent(): Promise<{ id: string; externalId: string }> {
  const externalId = `test-${randomHex(6)}`;
  const { data } = await client.POST("/events", {
    body: {
      id: externalId,
      type: "payment.completed",
      source: "console",
      subject: null,
      time: null,
      data: { amount: 12_500, currency: "EUR", country: "BR" },
    },
  });
  if (data === undefined) throw new Problem(0, "unreachable", "The api did not answer", "");
  return { id: data.id, externalId };
}

/** Sends one event of our own and leads to it. `tell` hears the failure, or null after a success. */
export function useTestEvent(tell: (failure: unknown) => void) {
  const navigate = useNavigate();
  return useMutation({
    mutationFn: sendTestEvent,
    onError: (error) => tell(error),
    onSuccess: ({ id, externalId }) => {
      tell(null);
      toast.success(`Sent ${externalId}, type payment.completed`, {
        action: {
          label: "Open",
          onClick: () => void navigate({ to: "/events/$id", params: { id } }),
        },
      });
    },
  });
}

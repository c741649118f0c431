"""The two senders behind one `send`: what is mail goes to the mailer, the rest over HTTP."""

from typing import Literal

from services.consumer.dispatcher import addresses, mail, outgoing, webhook
from shared import egress

type EmailMode = Literal["disabled", "log", "smtp"]


class Sender:
    """`send` is an outgoing.Send. Made inside the running loop, which it belongs to."""

    def __init__(
        self, webhooks: webhook.WebhookSender, mails: mail.LoggedMail | mail.SmtpMail | None
    ) -> None:
        self._webhooks = webhooks
        self._mails = mails

    async def send(self, out: outgoing.Outgoing) -> outgoing.Answer:
        if isinstance(out, outgoing.Webhook):
            return await self._webhooks.send(out)
        if self._mails is None:
            return outgoing.Answer(
                outcome="failed",
                error_class="MailDisabled",
                error_message="EMAIL_MODE is disabled",
                permanent=True,
            )
        return await self._mails.send(out)

    async def aclose(self) -> None:
        await self._webhooks.aclose()


def make_sender(
    *,
    allowed: egress.Networks = (),
    connections_max: int = 1000,
    ca_file: str = "",
    email_mode: EmailMode = "disabled",
    email_from: str = "oncely@localhost",
    smtp: mail.Server | None = None,
    lookup: addresses.Lookup | None = None,
) -> Sender:
    """The arguments are settings; `lookup` stands for DNS in tests."""
    webhooks = webhook.WebhookSender(
        allowed=allowed, connections_max=connections_max, ca_file=ca_file, lookup=lookup
    )
    mails: mail.LoggedMail | mail.SmtpMail | None = None
    if email_mode == "smtp":
        if smtp is None:
            raise ValueError("EMAIL_MODE=smtp needs a server")
        mails = mail.SmtpMail(smtp, sender=email_from)
    elif email_mode == "log":
        mails = mail.LoggedMail()
    return Sender(webhooks, mails)

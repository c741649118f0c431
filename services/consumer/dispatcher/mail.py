"""Sends one mail and tells what was learned. Log: a line instead of a mail, for development.

One connection per mail, and all recipients or none: a mail that only some got has no outcome.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal, cast

import aiosmtplib
import msgspec

from services.consumer.dispatcher import outgoing
from shared import clock, telemetry

type Tls = Literal["off", "if-offered", "require", "implicit"]

RECIPIENTS_MAX = 50
ADDRESS_LENGTH_MAX = 254
SUBJECT_LENGTH_MAX = 998
BODY_LENGTH_MAX = 262_144
MESSAGE_LENGTH_MAX = 500
_QUIT_SECONDS_MAX = 1.0
_FIRST_PERMANENT_CODE = 500
_FIRST_ERROR_CODE = 400

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_BREAKS_A_HEADER = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
# cte_type 7bit: a server need not know 8BITMIME.
_POLICY = policy.SMTP.clone(cte_type="7bit")

_log = telemetry.logger(__name__)


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The SMTP server of the settings; the operator names it, so no guard stands before it."""

    host: str
    port: int = 587
    tls: Tls = "if-offered"
    username: str = ""
    password: str = ""
    ca_file: str = ""


class _Progress:
    """What is noted while one mail is under way."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.connected_at: float | None = None
        self.data_at: float | None = None  # from here on the server may have taken the mail
        self.reply: str | None = None

    def phases(self) -> outgoing.Phases:
        now = time.perf_counter()
        return outgoing.Phases(
            connect_ms=_ms(self.began, self.connected_at), total_ms=_ms(self.began, now)
        )


class LoggedMail:
    """EMAIL_MODE=log."""

    async def send(self, email: outgoing.Email) -> outgoing.Answer:
        why = refusal(email)
        if why is not None:
            return _refused(why)
        _log.info(
            "mail",
            delivery_id=str(email.delivery_id),
            attempt=email.attempt_no,
            to=email.to,
            subject=email.subject,
        )
        return outgoing.Answer(outcome="confirmed")


class SmtpMail:
    """EMAIL_MODE=smtp."""

    def __init__(self, server: Server, *, sender: str) -> None:
        self._server = server
        self._sender = sender
        self._tls = None if server.tls == "off" else ssl.create_default_context()
        if self._tls is not None and server.ca_file:
            self._tls.load_verify_locations(cafile=server.ca_file)

    async def send(self, email: outgoing.Email) -> outgoing.Answer:
        why = refusal(email)
        if why is not None:
            return _refused(why)
        noted = _Progress()
        try:
            async with asyncio.timeout(email.timeout_seconds):
                await self._exchange(email, noted)
        except Exception as error:  # noqa: BLE001 the one place where errors become answers
            return _answer_of(error, noted)
        return outgoing.Answer(
            outcome="confirmed",
            status_code=250,
            address=self._server.host,
            phases=noted.phases(),
            response_head=noted.reply,
        )

    async def _exchange(self, email: outgoing.Email, noted: _Progress) -> None:
        client = self._client()
        await client.connect()  # closes by itself what it could not finish
        with _aborted_at_the_end(client):
            if self._server.username:
                await self._log_in(client)
            noted.connected_at = time.perf_counter()
            await client.mail(self._sender)
            for address in email.to:
                await client.rcpt(address)
            message = compose(email, sender=self._sender).as_bytes(policy=_POLICY)
            noted.data_at = time.perf_counter()
            reply = await client.data(message)
            noted.reply = _printable(f"{reply.code} {reply.message}")
            # The mail is taken; how the goodbye ends changes nothing.
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=_QUIT_SECONDS_MAX)

    def _client(self) -> aiosmtplib.SMTP:
        tls = self._server.tls
        return aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            timeout=None,  # One deadline, in send.
            use_tls=tls == "implicit",
            start_tls={"require": True, "if-offered": None}.get(tls, False),
            tls_context=self._tls,
            local_hostname=self._sender.rpartition("@")[2],
        )

    async def _log_in(self, client: aiosmtplib.SMTP) -> None:
        """Say the password over TLS only, unless the settings say that there is none: who stands
        between could have struck out the offer.
        """
        if self._server.tls != "off" and client.get_transport_info("sslcontext") is None:
            raise aiosmtplib.SMTPNotSupported("no STARTTLS is offered, and the login needs it")
        await client.login(self._server.username, self._server.password)


def compose(email: outgoing.Email, *, sender: str) -> EmailMessage:
    """The message; its id is the delivery's, so that a reader can tell a second copy."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(email.to)
    message["Subject"] = email.subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{email.delivery_id}@{sender.rpartition('@')[2]}>"
    message["X-Oncely-Delivery"] = str(email.delivery_id)
    message["X-Oncely-Attempt"] = str(email.attempt_no)
    message["traceparent"] = email.traceparent
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(email.body)
    return message


def refusal(email: outgoing.Email) -> str | None:
    """Why this is no mail; templates may have made any of it."""
    if not 1 <= len(email.to) <= RECIPIENTS_MAX:
        return f"{len(email.to)} recipients: must be 1 to {RECIPIENTS_MAX}"
    wrong = next((to for to in email.to if not is_address(to)), None)
    if wrong is not None:
        return f"{_printable(wrong)[:100]!r} is not a mail address (name@domain, in ASCII)"
    if _BREAKS_A_HEADER.search(email.subject) or len(email.subject) > SUBJECT_LENGTH_MAX:
        return f"the subject holds a control character or more than {SUBJECT_LENGTH_MAX} characters"
    if len(email.body) > BODY_LENGTH_MAX or "\0" in email.body:
        return f"the body holds NUL or more than {BODY_LENGTH_MAX} characters"
    return None


def is_address(text: str) -> bool:
    return len(text) <= ADDRESS_LENGTH_MAX and _ADDRESS.fullmatch(text) is not None


def _answer_of(error: Exception, noted: _Progress) -> outgoing.Answer:
    """Turn what went wrong into what is known: a reply is definite, silence after DATA is not."""
    code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    definite = noted.data_at is None or (code is not None and code >= _FIRST_ERROR_CODE)
    error_class, message = _named(error, noted)
    return outgoing.Answer(
        outcome="failed" if definite else "unknown",
        error_class=error_class,
        error_message=_printable(message)[:MESSAGE_LENGTH_MAX],
        status_code=code if code is not None and code > 0 else None,
        phases=noted.phases(),
        permanent=_is_permanent(error),
    )


def _is_permanent(error: Exception) -> bool:
    """5xx to the sender, a recipient or the content; 5xx to the login or the greeting is for the
    operator to mend, so the mail waits.
    """
    return (
        isinstance(
            error,
            aiosmtplib.SMTPSenderRefused
            | aiosmtplib.SMTPRecipientRefused
            | aiosmtplib.SMTPDataError,
        )
        and error.code >= _FIRST_PERMANENT_CODE
    )


def _named(error: Exception, noted: _Progress) -> tuple[str, str]:
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return "LoginRefused", f"the server refuses the login: {error.code} {error.message}"
        case aiosmtplib.SMTPRecipientRefused():
            return "RecipientRefused", f"{error.recipient}: {error.code} {error.message}"
        case aiosmtplib.SMTPResponseException():
            return "SmtpStatus", f"answered {error.code} {error.message}"
        case _ if noted.data_at is not None:
            return _named_after_data(error)
        case _:
            return _named_before_data(error, noted)


def _named_after_data(error: Exception) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "Timeout", "sent, and no answer in time"
    return "ConnectionLost", f"sent, and the connection broke before an answer: {error}"


def _named_before_data(error: Exception, noted: _Progress) -> tuple[str, str]:
    cause = error.__cause__
    match error:
        case TimeoutError() if noted.connected_at is None:
            return "ConnectTimeout", "the server did not greet in time"
        case TimeoutError():
            return "Timeout", "the server stopped answering before the mail was sent"
        case ssl.SSLError() | aiosmtplib.SMTPNotSupported():
            return "TlsError", f"no TLS: {error}"
        case aiosmtplib.SMTPConnectError() if isinstance(cause, ConnectionRefusedError):
            return "ConnectRefused", "nobody listens there"
        case aiosmtplib.SMTPException() if "TLS" in str(error):
            return "TlsError", f"no TLS: {error}"
        case _:
            return "ConnectError", f"no connection: {error}"


@contextmanager
def _aborted_at_the_end(client: aiosmtplib.SMTP) -> Generator[None]:
    """Closing TLS politely would wait for a server that may have stopped answering."""
    transport = cast("asyncio.WriteTransport | None", client.transport)
    try:
        yield
    finally:
        client.close()
        if transport is not None:
            transport.abort()


def _refused(why: str) -> outgoing.Answer:
    return outgoing.Answer(
        outcome="failed", error_class="MailRefused", error_message=why, permanent=True
    )


def _ms(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 3)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)

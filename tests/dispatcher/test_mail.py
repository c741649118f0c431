"""Against a real SMTP server, aiosmtpd in a thread, whose replies the recipient's name chooses."""

import asyncio
import email
import email.policy
import socket
import ssl
import uuid
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme
from aiosmtpd import smtp as smtpd
from aiosmtpd.controller import Controller

from services.consumer.dispatcher import mail, outgoing, senders

SENDER = "orders@shop.example.com"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHORT = 0.4


class Mailbox:
    """aiosmtpd's handler: keeps what it took; reply-CODE@, data-CODE@, stall@, drop@ and
    from-CODE in the subject do as they say.
    """

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.dropped = 0

    async def handle_RCPT(  # noqa: N802 aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        kind, _, code = address.partition("@")[0].partition("-")
        if kind == "reply":
            return f"{code} scripted \x1b[31mreply"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        kind, _, code = envelope.rcpt_tos[0].partition("@")[0].partition("-")
        if kind == "data":
            return f"{code} scripted"
        if kind == "stall":
            await asyncio.Event().wait()
        self.taken.append(envelope)
        if kind == "drop":
            server.transport.abort()
            await asyncio.Event().wait()
        return "250 taken"


@contextmanager
def server(**options: Any) -> Generator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=0, **options)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    try:
        yield mailbox, controller.port
    finally:
        asyncio.run_coroutine_threadsafe(_hang_up(controller), controller.loop).result(10)
        controller.stop()


async def _hang_up(controller: Any) -> None:
    """Close what clients left behind; the controller would forget it open."""
    controller.server.close()
    controller.server.abort_clients()
    await controller.server.wait_closed()


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[Mailbox, int]]:
    with server() as started:
        yield started


def to(*addresses: str, **changes: Any) -> outgoing.Email:
    fields: dict[str, Any] = {
        "delivery_id": uuid.uuid4(),
        "attempt_no": 1,
        "to": list(addresses) or ["a@example.com"],
        "subject": "Paid",
        "body": "Hello\n.\nworld",
        "timeout_seconds": 5.0,
        "traceparent": TRACEPARENT,
    }
    return outgoing.Email(**fields | changes)


def sent(*mails: outgoing.Email, port: int, **options: Any) -> list[outgoing.Answer]:
    async def run() -> list[outgoing.Answer]:
        settings: dict[str, Any] = {"host": "127.0.0.1", "port": port, "tls": "off"}
        sender = mail.SmtpMail(mail.Server(**settings | options), sender=SENDER)
        return [await sender.send(one) for one in mails]

    return asyncio.run(run())


def read(envelope: Any) -> EmailMessage:
    return email.message_from_bytes(envelope.content, policy=email.policy.default)


def test_a_mail_arrives_as_it_was_meant(plain: tuple[Mailbox, int]) -> None:
    mailbox, port = plain
    one = to(
        "a@example.com", "b@example.com", subject="Bücher: bezahlt ✓", body="Grüße\n.\nEnde" * 200
    )
    [first, _again] = sent(one, one, port=port)
    assert (first.outcome, first.error_class, first.status_code) == ("confirmed", None, 250)
    assert first.response_head == "250 taken"
    assert first.phases.connect_ms is not None
    envelope, copy = mailbox.taken[-2:]
    message = read(envelope)
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, ["a@example.com", "b@example.com"])
    assert message["Subject"] == "Bücher: bezahlt ✓"
    assert message["From"] == SENDER
    assert message["To"] == "a@example.com, b@example.com"
    assert message["Date"].datetime.tzinfo is not None
    assert message["traceparent"] == TRACEPARENT
    assert message["X-Oncely-Delivery"] == str(one.delivery_id)
    assert message.get_content().splitlines() == one.body.splitlines()
    assert max(map(len, envelope.content.split(b"\r\n"))) <= 998
    assert envelope.content.isascii()
    # Stable: by this a reader can tell a second copy.
    assert message["Message-ID"] == f"<{one.delivery_id}@shop.example.com>"
    assert read(copy)["Message-ID"] == message["Message-ID"]


@pytest.mark.parametrize(
    ("address", "outcome", "error_class", "status", "permanent"),
    [
        ("reply-421@example.com", "failed", "RecipientRefused", 421, False),
        ("reply-451@example.com", "failed", "RecipientRefused", 451, False),
        ("reply-550@example.com", "failed", "RecipientRefused", 550, True),
        ("data-451@example.com", "failed", "SmtpStatus", 451, False),
        ("data-554@example.com", "failed", "SmtpStatus", 554, True),
        ("stall@example.com", "unknown", "Timeout", None, False),
        ("drop@example.com", "unknown", "ConnectionLost", None, False),
    ],
)
def test_a_bad_server_is_told_from_one_that_may_have_taken_it(
    plain: tuple[Mailbox, int],
    address: str,
    outcome: str,
    error_class: str,
    status: int | None,
    *,
    permanent: bool,
) -> None:
    mailbox, port = plain
    before = len(mailbox.taken)
    [answer] = sent(to(address, timeout_seconds=SHORT), port=port)
    assert (answer.outcome, answer.error_class) == (outcome, error_class)
    assert (answer.status_code, answer.permanent) == (status, permanent)
    assert answer.error_message
    assert "\x1b" not in answer.error_message
    assert len(mailbox.taken) - before == (1 if address.startswith("drop") else 0)


def test_a_mail_goes_to_all_its_recipients_or_to_none(plain: tuple[Mailbox, int]) -> None:
    mailbox, port = plain
    before = len(mailbox.taken)
    [answer] = sent(to("a@example.com", "reply-550@example.com"), port=port)
    assert (answer.outcome, answer.permanent) == ("failed", True)
    assert "reply-550@example.com" in (answer.error_message or "")
    assert len(mailbox.taken) == before


def test_no_server_is_a_failure_that_may_pass() -> None:
    with closing(socket.socket()) as unused, closing(socket.socket()) as silent:
        unused.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        [nobody] = sent(to(), port=unused.getsockname()[1])
        [mute] = sent(to(timeout_seconds=SHORT), port=silent.getsockname()[1])
    assert (nobody.outcome, nobody.error_class) == ("failed", "ConnectRefused")
    assert (mute.outcome, mute.error_class) == ("failed", "ConnectTimeout")
    assert not nobody.permanent
    assert not mute.permanent


def test_no_mail_and_no_password_go_in_clear_where_tls_is_required(
    plain: tuple[Mailbox, int],
) -> None:
    mailbox, port = plain
    before = len(mailbox.taken)
    [required] = sent(to(), port=port, tls="require")
    [struck_out] = sent(to(), port=port, tls="if-offered", username="u", password="secret")
    [without] = sent(to(), port=port, tls="if-offered")
    for answer in (required, struck_out):
        assert (answer.outcome, answer.error_class) == ("failed", "TlsError")
        assert answer.permanent is False
        assert "secret" not in (answer.error_message or "")
    assert without.outcome == "confirmed"
    assert len(mailbox.taken) == before + 1


def test_starttls_is_verified_and_the_login_is_said_behind_it(tmp_path: Path) -> None:
    ca = trustme.CA()
    certificate: Any = ca.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    logins: list[tuple[bytes, bytes]] = []

    def authenticate(
        _server: Any, _session: Any, _envelope: Any, _mechanism: Any, said: Any
    ) -> smtpd.AuthResult:
        logins.append((said.login, said.password))
        return smtpd.AuthResult(success=said.password == b"right", handled=False)

    options: dict[str, Any] = {"tls_context": context, "authenticator": authenticate}
    with server(**options, auth_required=True, require_starttls=True) as (mailbox, port):
        known: dict[str, Any] = {"port": port, "tls": "require", "ca_file": str(ca_file)}
        [good] = sent(to(), **known, username="u", password="right")
        [bad] = sent(to(), **known, username="u", password="wrong")
        [stranger] = sent(to(), port=port, tls="if-offered")
        assert len(mailbox.taken) == 1
    assert good.outcome == "confirmed"
    assert (bad.outcome, bad.error_class, bad.permanent) == ("failed", "LoginRefused", False)
    assert (stranger.outcome, stranger.error_class) == ("failed", "TlsError")
    assert set(logins) == {(b"u", b"right"), (b"u", b"wrong")}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"subject": "a\r\nBcc: x@example.com"}, "subject"),
        ({"subject": "a\nb"}, "subject"),
        ({"subject": "a\x00"}, "subject"),
        ({"subject": "a" * 999}, "subject"),
        ({"to": []}, "0 recipients"),
        ({"to": ["a@example.com"] * 51}, "51 recipients"),
        ({"to": ["a@example.com\r\nDATA"]}, "is not a mail address"),
        ({"to": ["a@example.com>\r\nRCPT TO:<b@example.com"]}, "is not a mail address"),
        ({"to": ["a@example.com,b@example.com"]}, "is not a mail address"),
        ({"to": ["A <a@example.com>"]}, "is not a mail address"),
        ({"to": ["bücher@example.com"]}, "is not a mail address"),
        ({"to": ["a"]}, "is not a mail address"),
        ({"to": ["a@" + "b" * 300]}, "is not a mail address"),
        ({"body": "a\x00b"}, "body"),
        ({"body": "a" * 262_145}, "body"),
    ],
)
def test_a_mail_that_would_smuggle_is_refused(
    plain: tuple[Mailbox, int], changes: dict[str, Any], says: str
) -> None:
    mailbox, port = plain
    before = len(mailbox.taken)
    [answer] = sent(to(**changes), port=port)
    assert (answer.outcome, answer.error_class) == ("failed", "MailRefused")
    assert says in (answer.error_message or "")
    assert answer.permanent is True
    assert len(mailbox.taken) == before


def test_log_mode_writes_a_line_without_the_body_and_disabled_sends_nothing() -> None:
    async def run(mode: senders.EmailMode) -> outgoing.Answer:
        sender = senders.make_sender(email_mode=mode, email_from=SENDER)
        try:
            return await sender.send(to(subject="Paid"))
        finally:
            await sender.aclose()

    with structlog.testing.capture_logs() as lines:
        assert asyncio.run(run("log")).outcome == "confirmed"
        assert asyncio.run(run("disabled")).error_class == "MailDisabled"
    [line] = [line for line in lines if line["event"] == "mail"]
    assert (line["to"], line["subject"]) == (["a@example.com"], "Paid")
    assert "world" not in str(line)

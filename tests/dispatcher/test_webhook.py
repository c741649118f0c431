import asyncio
import resource
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import trustme

from services.consumer.dispatcher import outgoing, senders, webhook
from shared import egress, webhook_secrets
from tests.fixtures.deadlines import eventually
from tests.fixtures.sink import Hit, Sink

LOOPBACK = egress.read_networks("127.0.0.0/8,::1/128")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SHORT = 0.4


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as started:
        yield started


def to(url: str, **changes: Any) -> outgoing.Webhook:
    fields: dict[str, Any] = {
        "delivery_id": uuid.uuid4(),
        "attempt_no": 1,
        "method": "POST",
        "url": url,
        "headers": {},
        "body": b'{"a":1}',
        "secrets": (),
        "timeout_seconds": 5.0,
        "traceparent": TRACEPARENT,
    }
    return outgoing.Webhook(**fields | changes)


def sent(
    *webhooks: outgoing.Webhook, allowed: egress.Networks = LOOPBACK, **options: Any
) -> list[outgoing.Answer]:
    """Each after the other, by one sender."""

    async def run() -> list[outgoing.Answer]:
        sender = senders.make_sender(allowed=allowed, **options)
        try:
            return [await sender.send(one) for one in webhooks]
        finally:
            await sender.aclose()

    return asyncio.run(run())


def only_hit(sink: Sink, one: outgoing.Webhook) -> Hit:
    [hit] = sink.hits_of(one.delivery_id)
    return hit


def test_a_receiver_that_knows_only_the_published_library_accepts_it(sink: Sink) -> None:
    secret = webhook_secrets.make_secret()
    one = to(sink.url(), secrets=(webhook_secrets.read_secret(secret),))
    first, again = sent(one, one)
    assert (first.outcome, again.outcome) == ("confirmed", "confirmed")
    for hit in sink.hits_of(one.delivery_id):
        assert standardwebhooks.Webhook(secret).verify(hit.body, hit.headers) == {"a": 1}
    assert len(sink.hits_of(one.delivery_id)) == 2


def test_the_request_carries_what_it_should_and_nothing_of_its_own(sink: Sink) -> None:
    one = to(
        sink.url("/ok?a=b%2Fc&d=%C3%BC"),
        method="PUT",
        headers={"Content-Type": "application/vnd.test+json", "X-A": "ü b"},
    )
    [answer] = sent(one)
    hit = only_hit(sink, one)
    assert (hit.method, hit.path) == ("PUT", "/ok?a=b%2Fc&d=%C3%BC")
    assert hit.body == one.body
    assert hit.headers.pop("webhook-timestamp").isdecimal()
    assert hit.headers == {
        "host": f"127.0.0.1:{sink.port}",
        "content-type": "application/vnd.test+json",
        "user-agent": "oncely/1",
        "accept": "*/*",
        "accept-encoding": "identity",
        "x-a": "ü b".encode().decode("latin-1"),
        "webhook-id": str(one.delivery_id),
        "traceparent": TRACEPARENT,
        "content-length": "7",
    }
    assert answer.error_class is None
    assert answer.address == "127.0.0.1"
    assert answer.response_head == "HTTP/1.1 200 OK\ncontent-length: 2\ncontent-type: text/plain"
    assert answer.response_body == "ok"


def test_phases_are_told_for_a_new_connection_and_left_out_for_a_kept_one(sink: Sink) -> None:
    url = f"http://localhost:{sink.port}/after/0.05"
    [new, kept] = [answer.phases for answer in sent(to(url), to(url), lookup=_finds("127.0.0.1"))]
    assert new.dns_ms is not None
    assert new.connect_ms is not None
    assert new.tls_ms is None
    assert new.first_byte_ms is not None
    assert new.first_byte_ms >= 40
    assert new.total_ms is not None
    assert new.total_ms >= new.first_byte_ms
    assert (kept.dns_ms, kept.connect_ms, kept.tls_ms) == (None, None, None)
    assert kept.first_byte_ms is not None


BAD_RECEIVERS = [
    # path, outcome, error class, status
    ("/status/204", "confirmed", None, 204),
    ("/status/299", "confirmed", None, 299),
    ("/status/300", "failed", "HttpStatus", 300),
    ("/status/404", "failed", "HttpStatus", 404),
    ("/status/408", "failed", "HttpStatus", 408),
    ("/status/500", "failed", "HttpStatus", 500),
    ("/status/599", "failed", "HttpStatus", 599),
    ("/gone", "failed", "Gone", 410),
    ("/retry-after/429/7", "failed", "HttpStatus", 429),
    ("/loop", "failed", "HttpStatus", 302),
    ("/hang", "unknown", "Timeout", None),
    ("/after/3", "unknown", "Timeout", None),
    ("/slow", "unknown", "Timeout", None),
    ("/slow-body", "confirmed", None, 200),
    ("/endless", "confirmed", None, 200),
    ("/endless-head", "unknown", "BadResponse", None),
    ("/huge", "confirmed", None, 200),
    ("/bomb", "confirmed", None, 200),
    ("/reset", "unknown", "ConnectionLost", None),
    ("/reset-in-body", "confirmed", None, 200),
    ("/cut", "unknown", "ConnectionLost", None),
    ("/http10", "confirmed", None, 200),
    ("/garbage", "unknown", "BadResponse", None),
    ("/early-hints", "confirmed", None, 200),
    ("/early-hints-for-ever", "unknown", "Timeout", None),
    ("/binary", "failed", "HttpStatus", 500),
]


@pytest.mark.parametrize(("path", "outcome", "error_class", "status"), BAD_RECEIVERS)
def test_a_bad_receiver_costs_its_time_and_no_more(
    sink: Sink, path: str, outcome: str, error_class: str | None, status: int | None
) -> None:
    ends_by_timeout = error_class == "Timeout" or path == "/slow-body"
    seconds = SHORT if ends_by_timeout else 5.0
    one = to(sink.url(path), timeout_seconds=seconds)
    rss_before, start = _rss_max_bytes(), time.monotonic()
    [answer] = sent(one)
    assert time.monotonic() - start < seconds + 1
    assert (answer.outcome, answer.error_class, answer.status_code) == (
        outcome,
        error_class,
        status,
    )
    assert answer.permanent is False
    assert answer.gone is (status == 410)
    assert (answer.error_class is None) == (answer.error_message is None)
    assert len((answer.response_head or "").encode()) <= webhook.HEAD_KEPT_BYTES_MAX
    assert len((answer.response_body or "").encode()) <= webhook.BODY_KEPT_BYTES_MAX
    assert "\0" not in f"{answer.response_head}{answer.response_body}{answer.error_message}"
    assert len(sink.hits_of(one.delivery_id)) == 1
    # The bomb is packed by the sink, in this very process.
    assert path == "/bomb" or _rss_max_bytes() - rss_before < 30_000_000


def test_what_came_before_a_body_stalled_is_kept(sink: Sink) -> None:
    [stalled, broken] = sent(
        to(sink.url("/slow-body"), timeout_seconds=SHORT), to(sink.url("/reset-in-body"))
    )
    assert (stalled.response_body or "").startswith("x")
    assert broken.response_body == "half"


def test_a_bad_receiver_does_not_spoil_the_next_request(sink: Sink) -> None:
    answers = sent(
        *(to(sink.url(path), timeout_seconds=SHORT) for path, *_ in BAD_RECEIVERS[-10:]),
        to(sink.url()),
    )
    assert answers[-1].outcome == "confirmed"
    assert answers[-1].response_body == "ok"


def test_retry_after_is_read_as_seconds_or_as_a_date(sink: Sink) -> None:
    ahead = time.strftime("%a,_%d_%b_%Y_%H:%M:%S_GMT", time.gmtime(time.time() + 100))
    said = ["7", ahead, "Sun,_06_Nov_1994_08:49:37_GMT", "soon", "-5", "9" * 30, "1.5", "²"]
    answers = sent(*(to(sink.url(f"/retry-after/503/{when}")) for when in said))
    seconds, date, past, *wrong = [answer.retry_after_seconds for answer in answers]
    assert seconds == 7
    assert date is not None
    assert 90 < date <= 100
    assert past == 0
    assert wrong == [None, None, webhook.RETRY_AFTER_SECONDS_MAX, None, None]


def test_redirect_to_loopback_is_not_followed(sink: Sink) -> None:
    with Sink(host="127.0.0.2") as inner:
        one = to(sink.url(f"/redirect?to={inner.url('/ok')}"))
        [answer] = sent(one, allowed=egress.read_networks("127.0.0.1"))
        assert inner.connections == 0
    assert (answer.outcome, answer.status_code) == ("failed", 307)
    assert f"to {inner.url('/ok')}: redirects are not followed" in (answer.error_message or "")


def test_a_dns_answer_that_changes_between_check_and_connect_does_not_get_through(
    sink: Sink,
) -> None:
    """127.0.0.1 plays the public address, 127.0.0.2 the inner one."""
    public = egress.read_networks("127.0.0.1")
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2"]]
    asked: list[str] = []

    async def lookup(host: str, _port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    with Sink(host="127.0.0.2", port=sink.port) as inner:
        url = f"http://rebinding.example.com:{sink.port}/http10"  # closes, so each one connects
        first, *others = sent(*(to(url) for _ in range(4)), allowed=public, lookup=lookup)
        assert inner.connections == 0
    # One question per connection: what was judged is what is connected to.
    assert len(asked) == 4
    assert (first.outcome, first.address) == ("confirmed", "127.0.0.1")
    assert sink.hits[-1].headers["host"] == f"rebinding.example.com:{sink.port}"
    for answer in others:
        assert (answer.outcome, answer.error_class) == ("failed", "AddressRefused")
        assert answer.error_message == (
            "rebinding.example.com leads to an inner address: 127.0.0.2 is loopback"
        )
        assert answer.permanent is False


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/", "http://127.1:{port}/", "http://0x7f000001:{port}/",
     "http://2130706433:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://0:{port}/",
     "http://①②⑦.⓪.⓪.①:{port}/", "http://localhost:{port}/", "http://localhost.:{port}/",
     "http://a@127.0.0.1:{port}/", "ftp://127.0.0.1:{port}/", "http://example.com:9092/", "x"],
)  # fmt: skip
def test_a_url_that_spells_an_inner_address_is_never_connected_to(sink: Sink, url: str) -> None:
    before = sink.connections
    [answer] = sent(to(url.format(port=sink.port)), allowed=())
    assert (answer.outcome, answer.error_class) == ("failed", "AddressRefused")
    assert answer.permanent is True
    assert sink.connections == before


def test_the_socket_itself_is_guarded_when_everything_before_it_is_fooled(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "refusal_of_url", _passes_all)
    monkeypatch.setattr(egress, "refusal_of_answer", _passes_all)
    before = sink.connections
    literal, name = sent(
        to(sink.url()),
        to(f"http://a.example.com:{sink.port}/"),
        allowed=(),
        lookup=_finds("127.0.0.1"),
    )
    assert (literal.error_class, name.error_class) == ("AddressRefused", "AddressRefused")
    assert literal.error_message == "127.0.0.1 is loopback"
    assert sink.connections == before


def test_a_name_is_resolved_by_the_system_and_each_address_tried(sink: Sink) -> None:
    async def run() -> None:
        sender = senders.make_sender(allowed=LOOPBACK)
        url = f"http://localhost:{sink.port}/http10"
        answers = await asyncio.gather(*(sender.send(to(url)) for _ in range(30)))
        assert {(answer.outcome, answer.address) for answer in answers} == {
            ("confirmed", "127.0.0.1")
        }
        assert all(answer.phases.dns_ms is not None for answer in answers)
        await sender.aclose()

    asyncio.run(run())
    [refused] = sent(
        to(f"http://localhost:{sink.port}/"), allowed=egress.read_networks("10.0.0.0/8")
    )
    assert refused.error_class == "AddressRefused"


def test_proxy_variables_are_not_read(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sink() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url(""))
        [answer] = sent(to(sink.url()))
        assert proxy.connections == 0
    assert answer.outcome == "confirmed"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"headers": {"Host": "other.example.com"}}, "set by the sender"),
        ({"headers": {"webhook-id": "forged"}}, "set by the sender"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "set by the sender"),
        ({"headers": {"X-A": "b\r\nX-B: c"}}, "line break"),
        ({"headers": {"X-A\r\nX-B": "c"}}, "not a header name"),
        ({"method": "CONNECT"}, "the method is none of"),
        ({"method": "GET / HTTP/1.1\r\nX: y"}, "the method is none of"),
    ],
)
def test_a_request_that_would_smuggle_is_refused(
    sink: Sink, changes: dict[str, Any], says: str
) -> None:
    before = sink.connections
    [answer] = sent(to(sink.url(), **changes))
    assert (answer.outcome, answer.error_class) == ("failed", "RequestRefused")
    assert says in (answer.error_message or "")
    assert answer.permanent is True
    assert sink.connections == before


def test_nobody_there_is_a_failure_that_may_pass() -> None:
    with closing(socket.socket()) as unused, closing(socket.socket()) as full:
        unused.bind(("127.0.0.1", 0))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        refused, silent, unknown_name, slow_dns = sent(
            to(f"http://127.0.0.1:{unused.getsockname()[1]}/"),
            to(f"http://127.0.0.1:{port}/", timeout_seconds=SHORT),
            to("http://nobody.example.com/"),
            to("http://slow.example.com/", timeout_seconds=SHORT),
            lookup=_fails_or_hangs,
        )
        for filler in fillers:
            filler.close()
    assert (refused.outcome, refused.error_class) == ("failed", "ConnectRefused")
    assert (silent.outcome, silent.error_class) == ("failed", "ConnectTimeout")
    assert (unknown_name.outcome, unknown_name.error_class) == ("failed", "DnsError")
    assert (slow_dns.outcome, slow_dns.error_class) == ("failed", "ConnectTimeout")
    assert "DNS did not answer" in (slow_dns.error_message or "")
    assert not any(one.permanent for one in (refused, silent, unknown_name, slow_dns))


def test_tls_is_verified_for_the_name_and_its_time_is_told(tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate: Any = ca.issue_cert("good.example.com")
    certificate.configure_cert(context)
    asked_for: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(ca_file)
    with Sink(tls=context) as secure, Sink() as plain:
        good = to(f"https://good.example.com:{secure.port}/after/0.01")
        other = to(f"https://other.example.com:{secure.port}/")
        no_tls = to(f"https://good.example.com:{plain.port}/hang", timeout_seconds=SHORT)
        options: dict[str, Any] = {"lookup": _finds("127.0.0.1")}
        [right, wrong_name, nothing] = sent(good, other, no_tls, ca_file=str(ca_file), **options)
        [stranger] = sent(good, **options)
        assert len(secure.hits) == 1
    assert asked_for[:2] == ["good.example.com", "other.example.com"]
    assert right.outcome == "confirmed"
    assert right.phases.tls_ms is not None
    assert right.phases.connect_ms is not None
    for answer, says in [(wrong_name, "mismatch"), (stranger, "certificate")]:
        assert (answer.outcome, answer.error_class) == ("failed", "TlsError")
        assert says in (answer.error_message or "")
    assert nothing.outcome == "failed"
    assert not any(answer.permanent for answer in (wrong_name, stranger, nothing))


def test_a_put_is_sent_once_though_its_kept_connection_was_closed() -> None:
    with Sink() as sink:
        path = sink.script("closing", "ok", "cut", "ok")
        first, second = (to(sink.url(path), method="PUT") for _ in range(2))
        [confirmed, lost] = sent(first, second)
        assert len(sink.hits) == 2
    assert confirmed.outcome == "confirmed"
    assert (lost.outcome, lost.error_class) == ("unknown", "ConnectionLost")


def test_cookies_are_not_kept(sink: Sink) -> None:
    path = sink.url("/cookie")
    first, second = to(path), to(path)
    sent(first, second)
    assert "cookie" not in only_hit(sink, second).headers


def test_many_that_hang_leave_no_task_and_no_socket_behind(sink: Sink) -> None:
    async def run() -> None:
        sender = senders.make_sender(allowed=LOOPBACK, connections_max=500)
        hanging = [to(sink.url("/hang"), timeout_seconds=SHORT) for _ in range(200)]
        answers = await asyncio.gather(*(sender.send(one) for one in hanging))
        assert {answer.outcome for answer in answers} == {"unknown"}
        fine = await sender.send(to(sink.url()))
        assert fine.outcome == "confirmed"
        await sender.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())


def test_a_send_that_is_cancelled_is_cancelled(sink: Sink) -> None:
    async def run() -> None:
        sender = senders.make_sender(allowed=LOOPBACK)
        one = to(sink.url("/hang"))
        task = asyncio.create_task(sender.send(one))
        await asyncio.to_thread(eventually, lambda: sink.hits_of(one.delivery_id))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await sender.aclose()

    asyncio.run(run())


def _passes_all(*_: object, **_options: object) -> None:
    return


def _finds(*addresses: str) -> Any:
    async def lookup(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return lookup


async def _fails_or_hangs(host: str, _port: int) -> list[str]:
    if host.startswith("slow"):
        await asyncio.Event().wait()
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _rss_max_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

"""A client that sends slowly holds its connection for a bounded time and nobody else up."""

import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.api import samples
from tests.fixtures import client, stack

HEAD_SECONDS = 0.6
BODY_SECONDS = 0.6
# The server closes what did not end by itself a second after its answer.
BOUND_SECONDS = 4.0
_HEAD = b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def url(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-slow.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("slow")
        )
        bounds = {"HEAD_SECONDS": str(HEAD_SECONDS), "BODY_SECONDS": str(BODY_SECONDS)}
        yield system.start("api", wait=True, **bounds).url
        system.stop()


def _drip(url: str, first: bytes, drop: bytes) -> tuple[bytes, float]:
    """Send a beginning, then a little ten times a second; all that came back until the close."""
    parts = urlsplit(url)
    reply = b""
    closed = threading.Event()
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        started = time.monotonic()
        connection.sendall(first)

        def send() -> None:
            while not closed.wait(0.1):
                try:
                    connection.sendall(drop)
                except OSError:
                    return

        sender = threading.Thread(target=send)
        sender.start()
        try:
            while piece := connection.recv(65_536):
                reply += piece
        except ConnectionError:
            pass
        finally:
            closed.set()
            sender.join()
        return reply, time.monotonic() - started


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b""),
        (b"G", b""),
        (b"POST /orders HTTP/1.1\r\nx-slow: ", b"a"),
        (b"GET / HTTP/1.1\r\n", b"x: 1\r\n"),
    ],
)
def test_a_slow_head_is_closed(url: str, first: bytes, drop: bytes) -> None:
    reply, seconds = _drip(url, first, drop)
    assert reply == b""
    assert HEAD_SECONDS - 0.1 < seconds < BOUND_SECONDS


def test_a_slow_second_head_is_closed(url: str) -> None:
    whole = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    reply, seconds = _drip(url, whole + b"GET /health", b"x")
    assert reply.count(b"HTTP/1.1 200 ") == 1
    assert seconds < BOUND_SECONDS


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (_HEAD + b"Content-Length: 1000\r\n\r\n", b""),
        (_HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
        (_HEAD + b'Content-Length: 1000\r\n\r\n{"customer_id":', b" "),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
)
def test_a_slow_body_is_408_and_closed(url: str, first: bytes, drop: bytes) -> None:
    reply, seconds = _drip(url, first, drop)
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/body-too-slow" in reply
    assert b"connection: close" in reply.lower()
    assert BODY_SECONDS - 0.1 < seconds < BOUND_SECONDS


def test_a_slow_body_that_nobody_reads_is_closed_too(url: str) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    reply, seconds = _drip(url, head, b" ")
    assert reply.startswith(b"HTTP/1.1 200 ")
    assert seconds < BOUND_SECONDS


def test_what_follows_an_unread_body_is_not_a_request(url: str) -> None:
    hidden = b"GET /problems HTTP/1.1\r\nHost: a\r\n\r\n"
    size = 300 * 1024
    first = _HEAD + b"Content-Length: %d\r\n\r\n" % size + b" " * (size - len(hidden)) + hidden
    last = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    reply, _ = _drip(url, first + last, b"")
    assert reply.startswith(b"HTTP/1.1 413 ")
    assert reply.count(b"HTTP/1.1 ") == 2
    assert reply.endswith(b'{"live":true}')


def test_100_slow_clients_do_not_slow_others(url: str) -> None:
    threads = [
        threading.Thread(target=_drip, args=(url, _HEAD + b"Content-Length: 9\r\n\r\n", b""))
        for _ in range(100)
    ]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    samples.create_order(url)
    assert time.monotonic() - started < 2
    for thread in threads:
        thread.join(BOUND_SECONDS * 3)
    assert client.call(url, "GET", "/health/ready").status == 200

"""Exports: the list's events as a file, for clients that read it and for those that do not."""

import contextlib
import csv
import http.client
import io
import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.api import event_exports
from tests.api import samples
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

ROWS_MAX = 1200
REQUEST_SECONDS = 3
LAST_CHUNK = b"0\r\n\r\n"
_FILL = """
    insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, subject,
      payload, payload_hash, traceparent)
    select id, 'test', id::text, id::text, 1, 'export.many', %s,
      jsonb_build_object('n', n, 'text', repeat('x', %s)), sha256(id::text::bytea), ''
    from (select uuidv7() as id, n from generate_series(1, %s) n) made"""


class Api:
    """An api with small bounds."""

    def __init__(self, url: str, database: stack.Database) -> None:
        self.url = url
        self.database = database

    def fill(self, amount: int, *, characters: int = 10) -> str:
        subject = f"s-{uuid.uuid4().hex[:8]}"
        with self.database.connect() as conn:
            conn.execute(_FILL.encode(), [subject, characters, amount])
        return subject

    def export(self, query: str) -> tuple[dict[str, str], str]:
        """Headers and text; the shared client takes NDJSON for JSON."""
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            connection.request("GET", f"/events/export?{query}")
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, text
            return {name.lower(): value for name, value in answer.getheaders()}, text
        finally:
            connection.close()

    def lines(self, query: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.export(f"format=ndjson&{query}")[1].splitlines()]

    def rows(self, query: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.export(query)[1])))


@pytest.fixture(scope="module")
def small(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-export.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("export")
        )
        process = system.start(
            "api",
            EXPORT_ROWS_MAX=str(ROWS_MAX),
            REQUEST_SECONDS=str(REQUEST_SECONDS),
            POOL_SIZE_MAX="1",
        )
        yield Api(process.url, database)
        system.stop()


def test_ndjson_holds_what_the_list_holds_newest_first(small: Api) -> None:
    subject = small.fill(700)

    headers, text = small.export(f"format=ndjson&subject={subject}")
    listed = client.call(small.url, "GET", f"/events?subject={subject}&limit=200").body["events"]

    lines = [json.loads(line) for line in text.splitlines()]
    assert headers["content-type"] == "application/x-ndjson"
    assert headers["content-disposition"].startswith('attachment; filename="events-20')
    assert len(lines) == 700
    assert lines[:200] == listed
    assert lines == sorted(lines, key=lambda line: line["id"], reverse=True)


def test_a_file_that_ends_at_its_bound_says_so_and_where_it_goes_on(small: Api) -> None:
    subject = small.fill(ROWS_MAX + 100)

    first = small.lines(f"subject={subject}")
    rest = small.lines(f"cursor={first[-1]['next_cursor']}")

    assert first[-1]["truncated"] is True
    ids = [line["id"] for line in (*first[:-1], *rest)]
    assert len(first) == ROWS_MAX + 1
    assert len(ids) == len(set(ids)) == ROWS_MAX + 100

    rows = small.rows(f"subject={subject}")
    assert rows[0] == list(event_exports.COLUMNS)
    assert rows[-1][0] == event_exports.TRUNCATED
    assert len(rows) == ROWS_MAX + 2
    assert {len(row) for row in rows} == {len(event_exports.COLUMNS)}
    assert [row[0] for row in rows[1:-1]] == ids[:ROWS_MAX]
    assert small.lines(f"cursor={rows[-1][1]}") == rest


def test_a_file_of_exactly_its_bound_is_whole(small: Api) -> None:
    subject = small.fill(ROWS_MAX)

    assert len(small.lines(f"subject={subject}")) == ROWS_MAX


def test_what_a_spreadsheet_would_run_is_text(small: Api) -> None:
    subject = f"=cmd|' /C calc'!A{uuid.uuid4().hex[:6]}"
    body = samples.event(id="+1", source="@shop", subject=subject, data={"a": "=1+1"})
    assert client.call(small.url, "POST", "/events", body).status == 201

    head, cells = small.rows("source=@shop")

    row = dict(zip(head, cells, strict=True))
    assert (row["external_id"], row["source"], row["subject"]) == ("'+1", "'@shop", f"'{subject}")
    assert json.loads(row["data"]) == {"a": "=1+1"}
    (line,) = small.lines("source=@shop")
    assert (line["external_id"], line["subject"]) == ("+1", subject)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("=1", "'=1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@a", "'@a"),
        ("\ta", "'\ta"),
        ("\ra", "'\ra"),
        ("\uff1d1", "'\uff1d1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff20a", "'\uff20a"),
        ("a=1", "a=1"),
        (7, "7"),
    ],
)
def test_a_cell_begins_with_nothing_that_a_spreadsheet_runs(value: object, cell: str) -> None:
    assert event_exports._cell(value) == cell  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def test_a_cell_stays_whole_where_semicolons_separate() -> None:
    assert event_exports._csv([["a;=1", ""]]) == b'"a;=1",""\r\n'  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def test_nothing_that_matches_is_an_empty_file(small: Api) -> None:
    assert small.lines("subject=nobody") == []
    assert small.rows("subject=nobody") == [list(event_exports.COLUMNS)]
    wrong = client.call(small.url, "GET", "/events/export?format=xml")
    assert (wrong.status, wrong.body["errors"][0]["parameter"]) == (422, "format")
    forged = client.call(small.url, "GET", "/events/export?cursor=x")
    assert (forged.status, forged.body["errors"][0]["parameter"]) == (422, "cursor")


def _rest_of(sock: socket.socket) -> bytes:
    """What was on its way when the server gave up."""
    received = b""
    with sock, contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(1_000_000):
            received = (received + piece)[-100:]
    return received


def test_clients_that_do_not_read_hold_no_connection_and_are_dropped(small: Api) -> None:
    """The pool has one connection: others are answered while the exports stand still."""
    small.fill(ROWS_MAX, characters=20_000)
    parts = urlsplit(small.url)
    lazy: list[socket.socket] = []
    for _ in range(event_exports.EXPORTS_MAX):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(30)
        sock.connect((parts.hostname or "", parts.port or 0))
        sock.sendall(b"GET /events/export?format=ndjson HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(100)
        lazy.append(sock)

    full = client.call(small.url, "GET", "/events/export")
    listed = client.call(small.url, "GET", "/events?limit=1")

    assert (full.status, full.headers["retry-after"]) == (503, "5")
    assert listed.status == 200
    eventually(
        lambda: client.call(small.url, "GET", "/events/export?subject=nobody").status == 200,
        what="the clients that do not read are dropped",
    )
    # One slot is free, so one was cut off; the others may still be taken up by reading now.
    rests = [_rest_of(sock) for sock in lazy]
    assert not all(rest.endswith(LAST_CHUNK) for rest in rests)

"""Every bad input of reliability.md section 6, row REST: 4xx that points, nothing stored."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client

JSON = {"Content-Type": "application/json"}
ORDER = json.dumps(samples.order()).encode()


def _order(**changes: Any) -> bytes:
    return json.dumps(samples.order(**changes)).encode()


def _event(**changes: Any) -> bytes:
    return json.dumps({"id": "bad", "type": "t", "data": 1, **changes}).encode()


# name -> (path, body, headers, status, pointer); a pointer of None: the problem points at no body.
BODIES: dict[str, tuple[str, bytes, dict[str, str], int, str | None]] = {
    "json 100,000 deep": ("/orders", b"[" * 100_000 + b"]" * 100_000, JSON, 400, ""),
    "json 33 deep": ("/events", _event(data=json.loads("[" * 33 + "]" * 33)), JSON, 400, ""),
    "invalid utf-8": ("/orders", b'{"customer_id":"\xff"}', JSON, 400, ""),
    "nul": ("/events", _event(data={"a": ["\0"]}), JSON, 400, "/data/a/0"),
    "nul in a name": ("/events", _event(data={"a": {"\0": 1}}), JSON, 400, "/data/a"),
    "raw nul": ("/orders", b'{"customer_id":"\0"}', JSON, 400, ""),
    "duplicate name": ("/orders", b'{"amount":1,"amount":2}', JSON, 400, "/amount"),
    "deep duplicate name": ("/events", b'{"data":[{"x":{"y":1,"y":2}}]}', JSON, 400, "/data/0/x/y"),
    "duplicate name, escaped": ("/orders", b'{"amount":1,"\\u0061mount":2}', JSON, 400, "/amount"),
    "lone surrogate": ("/events", b'{"id":"\\ud800","type":"t","data":1}', JSON, 400, ""),
    "nan": ("/events", b'{"id":"x","type":"t","data":NaN}', JSON, 400, ""),
    "1e400": ("/events", b'{"id":"x","type":"t","data":1e400}', JSON, 400, ""),
    "1e-9999": ("/events", b'{"id":"x","type":"t","data":[1e-9999]}', JSON, 400, ""),
    "1e-300, 20,000 times": (
        "/events",
        b'{"id":"x","type":"t","data":[' + b"1e-300," * 20_000 + b"1]}",
        JSON,
        400,
        "",
    ),
    "2**64": ("/events", _event(data={"n": 2**64}), JSON, 400, "/data/n"),
    "-2**63-1": ("/events", _event(data=[-(2**63) - 1]), JSON, 400, "/data/0"),
    "5,000 digits": ("/events", b'{"data":' + b"1" * 5000 + b"}", JSON, 400, ""),
    "200,000 names": (
        "/events/batch",
        json.dumps([{str(n): 0 for n in range(80_000)}]).encode(),
        JSON,
        400,
        "",
    ),
    "byte order mark": ("/orders", b"\xef\xbb\xbf" + ORDER, JSON, 400, ""),
    "utf-16": ("/orders", ORDER.decode().encode("utf-16"), JSON, 400, ""),
    "empty body": ("/orders", b"", JSON, 400, ""),
    "null": ("/orders", b"null", JSON, 422, ""),
    "array": ("/orders", b"[]", JSON, 422, ""),
    "unknown field": ("/orders", _order(status="paid"), JSON, 422, "/status"),
    "unknown event field": ("/events", _event(published_at=1), JSON, 422, "/published_at"),
    "missing field": ("/orders", b'{"customer_id":"c"}', JSON, 422, "/currency"),
    "amount -1": ("/orders", _order(amount=-1), JSON, 422, "/amount"),
    "amount 0": ("/orders", _order(amount=0), JSON, 422, "/amount"),
    "amount 0.001": ("/orders", _order(amount=0.001), JSON, 422, "/amount"),
    "amount 1e18": ("/orders", _order(amount=10**18), JSON, 422, "/amount"),
    "amount '1e3'": ("/orders", _order(amount="1e3"), JSON, 422, "/amount"),
    "amount '0.3'": ("/orders", _order(amount="0.3"), JSON, 422, "/amount"),
    "amount true": ("/orders", _order(amount=True), JSON, 422, "/amount"),
    "currency eur": ("/orders", _order(currency="eur"), JSON, 422, "/currency"),
    "currency with newline": ("/orders", _order(currency="EUR\n"), JSON, 422, "/currency"),
    "order id 0": ("/orders", _order(id="0"), JSON, 422, "/id"),
    "order id number": ("/orders", _order(id=2**63 - 1), JSON, 422, "/id"),
    "customer zero width": ("/orders", _order(customer_id="a\u200bb"), JSON, 422, "/customer_id"),
    "customer right to left": ("/orders", _order(customer_id="\u202ea"), JSON, 422, "/customer_id"),
    "customer of 10,000": ("/orders", _order(customer_id="c" * 10_000), JSON, 422, "/customer_id"),
    "customer empty": ("/orders", _order(customer_id=""), JSON, 422, "/customer_id"),
    "items too many": ("/orders", _order(items=[{}] * 101), JSON, 422, "/items"),
    "items not objects": ("/orders", _order(items=[1]), JSON, 422, "/items/0"),
    "event id of 10,000": ("/events", _event(id="e" * 10_000), JSON, 422, "/id"),
    "event id control": ("/events", _event(id="a\nb"), JSON, 422, "/id"),
    "event id number": ("/events", _event(id=-1), JSON, 422, "/id"),
    "event type blank": ("/events", _event(type="a b"), JSON, 422, "/type"),
    "event type emoji": ("/events", _event(type="🙂"), JSON, 422, "/type"),
    "reserved source": ("/events", _event(source="oncely:orders"), JSON, 422, "/source"),
    "year 10000": ("/events", _event(time="10000-01-01T00:00:00Z"), JSON, 422, "/time"),
    "year 1969": ("/events", _event(time="1969-12-31T23:59:59Z"), JSON, 422, "/time"),
    "10000 in UTC": ("/events", _event(time="9999-12-31T23:59:59-12:00"), JSON, 422, "/time"),
    "leap second": ("/events", _event(time="2016-12-31T23:59:60Z"), JSON, 422, "/time"),
    "no offset": ("/events", _event(time="2026-01-01T00:00:00"), JSON, 422, "/time"),
    "batch not a list": ("/events/batch", b"{}", JSON, 422, ""),
    "batch empty": ("/events/batch", b"[]", JSON, 422, ""),
    "batch of 501": ("/events/batch", b"[" + b",".join([b"1"] * 501) + b"]", JSON, 422, ""),
    "no content type": ("/orders", ORDER, {}, 415, None),
    "text/plain": ("/orders", ORDER, {"Content-Type": "text/plain"}, 415, None),
    "form": ("/orders", ORDER, {"Content-Type": "application/x-www-form-urlencoded"}, 415, None),
    "foreign charset": (
        "/orders",
        ORDER,
        {"Content-Type": "application/json; charset=latin-1"},
        415,
        None,
    ),
    "gzip": ("/orders", ORDER, {**JSON, "Content-Encoding": "gzip"}, 415, None),
    "body of 257 KiB": ("/orders", b" " * (257 * 1024), JSON, 413, None),
    "batch body of 1 MiB and more": ("/events/batch", b" " * (1024 * 1024 + 1), JSON, 413, None),
    "body of 11 MB": ("/orders", b" " * 11_000_000, JSON, 413, None),
    "empty key": ("/orders", ORDER, {**JSON, "Idempotency-Key": ""}, 422, None),
    "key of 256": ("/orders", ORDER, {**JSON, "Idempotency-Key": "k" * 256}, 422, None),
    "key not ascii": ("/orders", ORDER, {**JSON, "Idempotency-Key": "\u00e9"}, 422, None),
    "100 headers": ("/orders", ORDER, JSON | {f"x-{n}": "1" for n in range(100)}, 431, None),
    "64 KiB header": ("/orders", ORDER, JSON | {"x-big": "1" * 65_536}, 431, None),
    "key of 1 MB": ("/orders", ORDER, JSON | {"Idempotency-Key": "1" * 1_000_000}, 431, None),
    "foreign origin": ("/orders", ORDER, JSON | {"Origin": "https://evil.example"}, 403, None),
    "pay with fields": ("/orders/0/pay", b'{"amount":1}', JSON, 404, None),
    "ce without version": ("/events", b"1", JSON | {"ce-id": "1"}, 422, None),
    "ce of version 2": ("/events", b"1", JSON | {"ce-id": "1", "ce-specversion": "2"}, 422, None),
}
PATHS: dict[str, tuple[str, str, int]] = {
    "id 0": ("GET", "/orders/0", 404),
    "id -1": ("GET", "/orders/-1", 404),
    "id 2^63": ("GET", "/orders/9223372036854775808", 404),
    "id of 10,000": ("GET", "/orders/" + "a" * 10_000, 414),
    "id right to left": ("GET", "/orders/%E2%80%AEabc", 404),
    "id zero width": ("GET", "/orders/%E2%80%8B", 404),
    "id emoji": ("GET", "/orders/%F0%9F%99%82", 404),
    "id a-b": ("GET", "/orders/a-b", 404),
    "id in braces": ("GET", "/orders/%7B01a20220-50e4-718f-bfb2-538176433f70%7D", 404),
    "id nul": ("GET", "/orders/%00", 404),
    "event id nul": ("GET", "/events/%00?by=external", 404),
    "path upwards": ("GET", "/orders/..%2f..%2fetc", 404),
    "path not utf-8": ("GET", "/orders/%ff", 404),
    "unknown path": ("GET", "/nothing", 404),
    "unknown command": ("POST", "/orders/0/ship", 404),
    "wrong method on a list": ("DELETE", "/orders", 405),
    "wrong method on a command": ("GET", "/orders/0/pay", 405),
    "wrong method on a read": ("PUT", "/events/stats", 405),
    "limit 0": ("GET", "/orders?limit=0", 422),
    "limit 10^9": ("GET", "/events?limit=1000000000", 422),
    "limit text": ("GET", "/events?limit=many", 422),
    "limit twice": ("GET", "/events?limit=1&limit=2", 422),
    "unknown parameter": ("GET", "/events?statsu=failed", 422),
    "unknown status": ("GET", "/orders?status=lost", 422),
    "forged cursor": ("GET", "/orders?cursor=AAAAAAAAAAAAAAAAAAAAAAAA", 422),
    "long cursor": ("GET", "/orders?cursor=" + "A" * 5000, 422),
    "date year 10000": ("GET", "/events?received_after=10000-01-01T00:00:00Z", 422),
    "date without offset": ("GET", "/events?received_after=2026-01-01T00:00:00", 422),
    "date as a number": ("GET", "/events?received_before=0.5", 422),
    "query nul": ("GET", "/events?source=%00", 422),
    "query not utf-8": ("GET", "/events?source=%ff", 400),
    "seed 0": ("POST", "/orders/seed?count=0", 422),
    "seed 10,001": ("POST", "/orders/seed?count=10001", 422),
    "seed -1": ("POST", "/orders/seed?count=-1", 422),
    "seed arabic digits": ("POST", "/orders/seed?count=%D9%A3", 422),
    "query of 10,000": ("GET", "/events?q=" + "a" * 10_000, 414),
}


@pytest.fixture(autouse=True)
def _nothing_is_stored(api: Api) -> Iterator[None]:
    tables = ("orders", "events", "event_receipts", "outbox", "idempotency_keys")
    count = "select " + " + ".join(f"(select count(*) from {table})" for table in tables)
    before = api.database.value(count)
    yield
    assert api.database.value(count) == before


def _require_problem(answer: client.Answer, status: int) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body["status"] == status
    assert answer.body["type"].startswith("/problems/")
    assert answer.body["detail"]


@pytest.mark.parametrize("name", BODIES)
def test_bad_body_is_refused_with_a_pointer(api: Api, name: str) -> None:
    path, body, headers, status, pointer = BODIES[name]
    answer = client.call(api.url, "POST", path, raw=body, headers=headers)
    _require_problem(answer, status)
    if pointer is not None:
        assert [fault.get("pointer") for fault in answer.body["errors"]] == [pointer]


@pytest.mark.parametrize("name", PATHS)
def test_bad_path_or_query_is_refused(api: Api, name: str) -> None:
    method, path, status = PATHS[name]
    answer = client.call(api.url, method, path)
    _require_problem(answer, status)
    if status == 422:
        assert answer.body["errors"][0]["parameter"]
    if status == 405:
        assert answer.headers["allow"]


def test_every_problem_has_a_page(api: Api) -> None:
    kinds = client.call(api.url, "GET", "/problems").body
    for slug, kind in kinds.items():
        page = client.call(api.url, "GET", f"/problems/{slug}")
        assert (page.status, page.body["status"]) == (200, kind["status"])


def test_a_form_from_a_foreign_page_cannot_pay(api: Api) -> None:
    answer = client.call(
        api.url, "POST", "/orders/x/pay", headers={"Origin": "https://evil.example"}
    )
    _require_problem(answer, 403)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "head",
    [
        b"NOT HTTP\r\n\r\n",
        b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(api: Api, head: bytes) -> None:
    reply = _exchange(api.url, head)
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in reply


def test_endless_head_is_refused(api: Api) -> None:
    reply = _exchange(api.url, b"GET / HTTP/1.1\r\n" + b"x-a: " + b"a" * 100_000)
    assert reply.startswith(b"HTTP/1.1 431 ")


def test_bad_input_is_answered_fast(api: Api) -> None:
    worst = b'{"data":"' + b'\\"' * 100_000
    started = time.perf_counter()
    answer = client.call(api.url, "POST", "/events", raw=worst, headers=JSON)
    assert answer.status == 400
    assert time.perf_counter() - started < 2  # quadratic would be minutes


def _exchange(url: str, sent: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(sent)
        reply = b""
        while piece := connection.recv(65_536):
            reply += piece
        return reply

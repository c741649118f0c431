"""GET /ws on a real api: subscriptions, resume, gaps; and what a hostile or slow watcher meets."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from shared import database as shared_database
from shared import live
from tests.api.conftest import Api
from tests.fixtures import client, raw_websocket
from tests.fixtures.raw_websocket import RawWebSocket
from tests.fixtures.watcher import Watcher

_ALL: dict[str, Any] = {}


def _tell(api: Api, *updates: tuple[str, str, str, str | None], lost: bool = False) -> None:
    """What another service would notify of."""
    groups = [
        live.Group(kind=kind, status=status, event_type=event_type, ids=[item], more=0)  # pyright: ignore[reportArgumentType]
        for kind, item, status, event_type in updates
    ]
    notice = msgspec.json.encode(live.Notice(lost=lost, groups=groups)).decode()
    with api.database.connect() as conn:
        conn.execute("select pg_notify(%s, %s)", [shared_database.LIVE_CHANNEL, notice])


def _send_event(api: Api, event_type: str = "live.tick") -> str:
    body = {"id": str(uuid.uuid4()), "type": event_type, "data": {"n": 1}}
    return client.call(api.url, "POST", "/events", body).body["id"]


@pytest.fixture
def watcher(api: Api) -> Iterator[Watcher]:
    with Watcher(api.url) as opened:
        opened.wait(lambda: opened.of("hello"), "hello")
        yield opened


def test_hello_names_the_stream_and_what_may_be_seen(watcher: Watcher) -> None:
    hello = watcher.frames[0]
    assert hello["type"] == "hello"
    assert hello["heartbeat_seconds"] == 15
    assert hello["kinds"] == sorted(live.KINDS)


def test_what_is_committed_comes_as_an_update_and_only_to_who_asked_for_it(
    api: Api, watcher: Watcher
) -> None:
    with Watcher(api.url) as other, Watcher(api.url) as silent:
        watcher.subscribe({"kinds": ["event"], "event_types": ["live.*"], "statuses": ["pending"]})
        other.subscribe({"kinds": ["event"], "event_types": ["else.*"]}, {"kinds": ["rule"]})
        event_id = _send_event(api)
        watcher.wait(watcher.updates, "the update")
        assert watcher.updates() == [("event", event_id, "pending", "live.tick")]
        _tell(api, ("rule", "r1", "changed", None), ("delivery", "d1", "sending", "else.x"))
        other.wait(other.updates, "the rule's update")
        assert other.updates() == [("rule", "r1", "changed", None)]
        assert [frame["type"] for frame in silent.frames] == ["hello"]


def test_numbers_rise_and_a_later_subscription_replaces_the_former(
    api: Api, watcher: Watcher
) -> None:
    watcher.subscribe({"kinds": ["rule"]})
    said = watcher.subscribe({"kinds": ["target"]})
    assert said["subscriptions"] == [{"kinds": ["target"]}]
    _tell(api, ("rule", "r1", "changed", None), ("target", "t1", "changed", None))
    _tell(api, ("target", "t2", "changed", None))
    watcher.wait(lambda: len(watcher.updates()) == 2, "two updates")
    assert [update[1] for update in watcher.updates()] == ["t1", "t2"]
    numbers = [frame["seq"] for frame in watcher.frames]
    assert numbers == sorted(numbers)


def test_what_was_missed_comes_after_a_reconnect_with_stream_and_last_seq(api: Api) -> None:
    with Watcher(api.url) as first:
        first.subscribe(_ALL)
        _tell(api, ("rule", "before", "changed", None))
        first.wait(lambda: first.of("updates"), "the update")
        place = {"stream": first.frames[0]["stream"], "last_seq": first.of("updates")[-1]["seq"]}
    for number in range(3):
        _tell(api, ("rule", f"missed-{number}", "changed", None))
    with Watcher(api.url) as again:
        again.subscribe(_ALL, **place)
        again.wait(lambda: len(again.updates()) >= 3, "what was missed")
        found = [update[1] for update in again.updates()]
        assert [item for item in found if item.startswith("missed")] == [
            "missed-0",
            "missed-1",
            "missed-2",
        ]
        assert "before" not in found
        assert not again.of("gap")


@pytest.mark.parametrize("place", ["another stream", "the future", "no number"])
def test_a_place_that_is_unknown_is_answered_with_gap(
    api: Api, watcher: Watcher, place: str
) -> None:
    hello = watcher.frames[0]
    asked: dict[str, Any] = {
        "another stream": {"stream": "0000", "last_seq": hello["seq"]},
        "the future": {"stream": hello["stream"], "last_seq": hello["seq"] + 10**6},
        "no number": {"stream": hello["stream"]},
    }[place]
    watcher.subscribe(_ALL, **asked)
    watcher.wait(lambda: watcher.of("gap"), "gap")


def test_a_connection_goes_a_short_way_back_often_and_a_long_way_once(
    api: Api, watcher: Watcher
) -> None:
    hello = watcher.frames[0]
    here = {"stream": hello["stream"], "last_seq": hello["seq"]}
    nowhere = {"stream": "0000", "last_seq": 1}
    for place in (here, here):
        watcher.subscribe(_ALL, **place)
    watcher.wait(lambda: len(watcher.of("subscribed")) == 2, "both answers")
    assert not watcher.of("gap")
    for place in (nowhere, nowhere):
        watcher.subscribe(_ALL, **place)
    watcher.wait(lambda: len(watcher.of("gap")) == 2, "both gaps")
    assert "once" not in watcher.of("gap")[0]["reason"]
    assert "once" in watcher.of("gap")[1]["reason"]
    _tell(api, ("rule", "goes on", "changed", None))
    watcher.wait(watcher.updates, "the next update")


def test_a_lost_connection_to_postgres_and_a_notice_that_says_so_are_told_as_gap(
    api: Api, watcher: Watcher
) -> None:
    watcher.subscribe(_ALL)
    _tell(api, ("rule", "after-loss", "changed", None), lost=True)
    watcher.wait(lambda: watcher.of("gap"), "gap of a service")
    with api.database.connect() as conn:
        ended = conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'oncely-api-live' and datname = current_database()"
        ).fetchall()
    assert ended == [(True,)]
    watcher.wait(lambda: len(watcher.of("gap")) == 2, "gap of the api")
    event_id = _send_event(api)
    watcher.wait(lambda: event_id in {update[1] for update in watcher.updates()}, "goes on")


def test_a_notice_that_cannot_be_read_is_passed_over(api: Api, watcher: Watcher) -> None:
    watcher.subscribe(_ALL)
    with api.database.connect() as conn:
        for payload in ("", "nonsense", '{"lost":false,"groups":[["x"]]}', "[" * 3000):
            conn.execute("select pg_notify(%s, %s)", [shared_database.LIVE_CHANNEL, payload])
    _tell(api, ("rule", "goes on", "changed", None))
    watcher.wait(watcher.updates, "the next notice")
    assert watcher.close_code is None


def test_more_than_a_frame_holds_is_counted(api: Api, watcher: Watcher) -> None:
    watcher.subscribe(_ALL)
    ids = [str(uuid.uuid4()) for _ in range(900)]
    with api.database.connect() as conn, conn.transaction():
        for start in range(0, 900, 100):
            group = live.Group(
                kind="event",
                status="published",
                event_type="a.b",
                ids=ids[start : start + 100],
                more=7,
            )
            notice = msgspec.json.encode(live.Notice(lost=False, groups=[group])).decode()
            conn.execute("select pg_notify(%s, %s)", [shared_database.LIVE_CHANNEL, notice])

    def total() -> int:
        omitted = [one for frame in watcher.of("updates") for one in frame["omitted"]]
        return len(watcher.updates()) + sum(one["count"] for one in omitted)

    watcher.wait(lambda: total() == 900 + 9 * 7, "all of them, with or without an id")
    assert max(len(frame["updates"]) for frame in watcher.of("updates")) <= 500


def test_a_frame_names_few_event_types_and_counts_the_rest_as_one(
    api: Api, watcher: Watcher
) -> None:
    """Also for who comes back, and whatever happened meanwhile."""
    hello = watcher.frames[0]
    watcher.subscribe({"kinds": ["rule"]})
    with api.database.connect() as conn, conn.transaction():
        for start in range(0, 600, 20):
            groups = [
                live.Group(
                    kind="event", status="published", event_type=f"{n}.{'x' * 190}", ids=[], more=2
                )
                for n in range(start, start + 20)
            ]
            notice = msgspec.json.encode(live.Notice(lost=False, groups=groups)).decode()
            conn.execute("select pg_notify(%s, %s)", [shared_database.LIVE_CHANNEL, notice])
    _tell(api, ("rule", "last", "changed", None))
    watcher.wait(watcher.updates, "the last update")
    watcher.subscribe({"kinds": ["event"]}, stream=hello["stream"], last_seq=hello["seq"])
    watcher.wait(lambda: len(watcher.of("updates")) == 2, "what was missed")
    omitted = watcher.of("updates")[-1]["omitted"]
    assert len(omitted) == live.NAMES_MAX + 1
    assert omitted[-1] == {
        "kind": "event",
        "status": "published",
        "event_type": None,
        "count": (600 - live.NAMES_MAX) * 2,
    }


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("nonsense", "not JSON"),
        ("[" * 2000, "object"),
        ('{"type":"subscribe"}', "subscriptions"),
        ('{"type":"publish","subscriptions":[]}', "publish"),
        ('{"type":"subscribe","subscriptions":[{"kind":"event"}]}', "kind"),
        ('{"type":"subscribe","subscriptions":[{"kinds":["cats"]}]}', "cats"),
        ('{"type":"subscribe","subscriptions":[{"kinds":[]}]}', ">= 1"),
        ('{"type":"subscribe","subscriptions":[{"event_types":["a*b*"]}]}', "event_types"),
        ('{"type":"subscribe","subscriptions":[' + ",".join(["{}"] * 21) + "]}", "<= 20"),
        ('{"type":"subscribe","subscriptions":[],"last_seq":-1}', ">= 0"),
    ],
)
def test_a_message_that_cannot_be_followed_is_refused_with_how_to_mend_it(
    watcher: Watcher, message: str, says: str
) -> None:
    watcher.send(message)
    assert watcher.wait_for_end() == 1008
    assert says in watcher.close_reason
    assert len(watcher.close_reason.encode()) <= 123


def test_frames_that_break_the_protocol_end_with_their_codes(api: Api) -> None:
    text = raw_websocket.TEXT
    cases = {
        "binary": (raw_websocket.frame(raw_websocket.BINARY, b"{}"), 1003),
        "not UTF-8": (raw_websocket.frame(text, b"\xff\xfe"), 1007),
        "5 KiB": (raw_websocket.frame(text, b"x" * 5000), 1009),
        "says 16 MiB": (raw_websocket.frame(text, b"x" * 100, length=16 << 20), 1009),
        "5 KiB in fragments": (
            raw_websocket.frame(text, b"x" * 3000, fin=False)
            + raw_websocket.frame(raw_websocket.CONTINUATION, b"x" * 2000),
            1009,
        ),
        "100,000 fragments": (
            raw_websocket.frame(text, b"", fin=False)
            + raw_websocket.frame(raw_websocket.CONTINUATION, b"", fin=False) * 100_000,
            1009,
        ),
        "ping flood": (raw_websocket.frame(raw_websocket.PING, b"x") * 50_000, 1008),
        "message flood": (
            raw_websocket.frame(text, b'{"type":"subscribe","subscriptions":[]}') * 25,
            1008,
        ),
        "compressed": (b"\xc1\x82\x00\x00\x00\x00aa", 1002),
    }
    for name, (sent, code) in cases.items():
        with RawWebSocket(api.url) as opened:
            assert opened.status == 101, (name, opened.head)
            # Refused before the end of the flood: the answer can be read all the same.
            with contextlib.suppress(OSError):
                opened.socket.sendall(sent)
            assert opened.read_close()[0] == code, name


def test_compression_is_not_offered_and_the_subprotocol_is_chosen(api: Api) -> None:
    headers = (
        "Sec-WebSocket-Extensions: permessage-deflate",
        "Sec-WebSocket-Protocol: other, oncely.live.v1",
    )
    with RawWebSocket(api.url, headers=headers) as opened:
        assert opened.status == 101
        assert "permessage-deflate" not in opened.head
        assert "oncely.live.v1" in opened.head


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/ws", ("Origin: https://evil.example",), 403),
        ("/ws", ("Origin: null",), 403),
        ("/ws?token=x", (), 422),
        ("/orders", (), 404),
        ("/ws%2f", (), 404),
        ("/ws", ("X-Filler: " + "x" * 9000,), 400),
        ("/ws", tuple(f"X-{number}: 1" for number in range(80)), 431),
    ],
)
def test_an_upgrade_that_is_not_taken_is_answered_before_it(
    api: Api, path: str, headers: tuple[str, ...], status: int
) -> None:
    with RawWebSocket(api.url, path=path, headers=headers) as opened:
        assert opened.status == status, opened.head
        if status != 400:
            assert "application/problem+json" in opened.head


def test_a_page_of_the_api_s_own_origin_may_watch(api: Api) -> None:
    with RawWebSocket(api.url, headers=(f"Origin: {api.url}",)) as opened:
        assert opened.status == 101


def test_without_an_upgrade_the_route_says_what_it_is(api: Api) -> None:
    answer = client.call(api.url, "GET", "/ws")
    assert answer.status == 426
    assert answer.headers["upgrade"] == "websocket"
    assert answer.body["type"] == "/problems/upgrade-required"


def test_changes_by_people_are_told(api: Api, watcher: Watcher) -> None:
    watcher.subscribe({"kinds": ["event_type"]})
    client.call(api.url, "PUT", "/event-types/live.named", {"retry_limit": 3})
    watcher.wait(watcher.updates, "the update")
    assert watcher.updates() == [("event_type", "live.named", "changed", "live.named")]

"""What is announced: bounded whatever comes, and never waited for."""

import time
import uuid
from collections.abc import Sequence
from typing import Any, override

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import database as shared_database
from shared import live
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

# Nobody listens there: a connection is refused at once.
AWAY = "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1"


def _decoded(window: live.Window) -> live.Notice:
    return msgspec.json.decode(window.encode(lost=False), type=live.Notice)


def _count(notice: live.Notice) -> int:
    return sum(len(group.ids) + group.more for group in notice.groups)


def test_the_last_status_of_an_id_counts() -> None:
    window = live.Window()
    window.add("event", "processing", [("a", "x"), ("b", "x")])
    window.add("event", "processed", [("a", "x")])
    assert [(group.name, group.ids, group.more) for group in _decoded(window).groups] == [
        (("event", "processing", "x"), ["b"], 0),
        (("event", "processed", "x"), ["a"], 0),
    ]


def test_a_flood_of_events_leaves_room_for_the_dead_letter() -> None:
    window = live.Window()
    for _ in range(100):
        window.add("event", "published", [(str(uuid.uuid4()), "x") for _ in range(1000)])
    window.add("dead_letter", "open", [("letter", "x")])
    notice = _decoded(window)
    assert _count(notice) == 100_001
    assert [group.ids for group in notice.groups if group.kind == "dead_letter"] == [["letter"]]


def test_items_with_statuses_of_their_own_are_noted_once_for_each_status() -> None:
    calls: list[tuple[str, str, list[str]]] = []

    class Noting(live.Announcer):
        @override
        def announce(self, kind: live.Kind, status: str, items: Sequence[live.Item]) -> None:
            calls.append((kind, status, [str(item_id) for item_id, _ in items]))

    changes = [("processed", ("a", "x")), ("failed", ("b", "x")), ("processed", ("c", "y"))]
    Noting(AWAY, instance="test").announce_each("event", changes)
    assert calls == [("event", "processed", ["a", "c"]), ("event", "failed", ["b"])]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(live.KINDS),
            st.sampled_from(["pending", "published", "processed", "failed"]),
            st.lists(st.tuples(st.text(max_size=200), st.text(max_size=200)), max_size=120),
        ),
        max_size=12,
    )
)
def test_a_notice_fits_into_a_notification_and_forgets_nothing(
    announced: list[tuple[live.Kind, str, list[live.Item]]],
) -> None:
    window = live.Window()
    for kind, status, items in announced:
        window.add(kind, status, items)
    payload = window.encode(lost=True)
    assert len(payload.encode()) <= live.PAYLOAD_BYTES_MAX
    told = msgspec.json.decode(payload, type=live.Notice)
    assert told.lost
    distinct = len({(kind, item) for kind, _, items in announced for item, _ in items})
    assert distinct <= _count(told) <= sum(len(items) for _, _, items in announced)


def test_announcing_while_postgres_is_away_never_blocks_and_keeps_little() -> None:
    announcer = live.Announcer(AWAY, instance="test", interval_ms=10)
    announcer.start()
    items: list[live.Item] = [(str(uuid.uuid4()), "x") for _ in range(1000)]
    slowest = 0.0
    for _ in range(200):
        began = time.perf_counter()
        announcer.announce("event", "published", items)
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 0.5
    began = time.perf_counter()
    announcer.close()
    assert time.perf_counter() - began < 5


def test_after_a_loss_the_next_notice_says_so_by_itself(
    database: stack.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shared_database.connect

    def refuse(*_: Any, **__: Any) -> Any:
        raise psycopg.OperationalError

    with database.connect() as conn:
        conn.execute(f"listen {shared_database.LIVE_CHANNEL}".encode())
        monkeypatch.setattr(shared_database, "connect", refuse)
        announcer = live.Announcer(database.url("oncely_relay"), instance="test", interval_ms=10)
        announcer.start()
        announcer.announce("event", "published", [("lost", "x")])
        eventually(lambda: announcer._lost, what="the loss")  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(shared_database, "connect", real)
        notices = [
            msgspec.json.decode(found.payload, type=live.Notice)
            for found in conn.notifies(timeout=10, stop_after=1)
        ]
        assert [notice.lost for notice in notices] == [True]
        announcer.announce("event", "published", [("kept", "x")])
        [later] = [
            msgspec.json.decode(found.payload, type=live.Notice)
            for found in conn.notifies(timeout=10, stop_after=1)
        ]
        assert not later.lost
        assert later.groups[0].ids == ["kept"]
        announcer.close()


def test_what_was_announced_before_the_end_is_sent(database: stack.Database) -> None:
    with database.connect() as conn:
        conn.execute(f"listen {shared_database.LIVE_CHANNEL}".encode())
        announcer = live.Announcer(database.url("oncely_consumer"), instance="t", interval_ms=5000)
        announcer.start()
        announcer.announce("event", "processed", [("a", "x")])
        [_] = conn.notifies(timeout=10, stop_after=1)
        announcer.announce("event", "processed", [("b", "x")])
        announcer.close()
        [last] = conn.notifies(timeout=10, stop_after=1)
        assert '"b"' in last.payload

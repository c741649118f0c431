"""The overview on a real system, and the arithmetic of its pulse."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from services.api import database_pool, fresh, problems
from services.api.overview import liveness, pulse
from services.api.queries import presence
from tests.api import rules
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _sample(seconds: float, **totals: Any) -> pulse.Sample:
    row: dict[str, Any] = {
        "accepted": 0,
        "published": 0,
        "applied": 0,
        "confirmed": 0,
        "pending": 0,
        "exact": True,
        "lag": 0,
        **totals,
    }
    return pulse.Sample(at=NOW + timedelta(seconds=seconds), **row)


def _pulse() -> pulse.Pulse:
    return pulse.Pulse(pool=None)  # pyright: ignore[reportArgumentType] it is never run


def _instance(service: str, **changes: Any) -> presence.InstanceRow:
    row: dict[str, Any] = {
        "service": service,
        "instance": f"{service}-1",
        "started_at": None,
        "seen_at": NOW,
        "up": True,
        "shards": None,
        "partitions": None,
        "rules_version": None,
        "broker_away": False if service == "relay" else None,
        **changes,
    }
    return presence.InstanceRow(**row)


def _done(overview: dict[str, Any]) -> set[str]:
    return {step["key"] for step in overview["checklist"] if step["done"]}


def _wait(url: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        answer = client.call(url, "GET", "/overview")
        assert answer.status == 200, answer
        return answer.body if condition(answer.body) else {}

    return eventually(ask, deadline_seconds=20)


def test_an_event_goes_through_the_overview_from_an_empty_system_to_a_fired_rule(
    system: stack.System,
) -> None:
    url = system.start_all(FAULTS_ENABLED="1").url
    dispatcher = system.start("dispatcher")

    up = {"api_up", "relay_up", "consumer_up", "dispatcher_up"}
    empty = _wait(url, lambda found: _done(found) == up)
    assert empty["pipeline"]["accepted"]["total"] == 0
    assert (empty["database"]["state"], empty["broker"]["state"]) == ("up", "up")
    assert empty["database"]["takes_writes"] is True
    assert (empty["faults"], empty["latency"]["looked_at"]) == ([], 0)
    assert empty["latency"]["p50_ms"] is None

    made = rules.create(url, event_type="over.view", condition=True)
    rules.send(url, "POST", f"/rules/{made['id']}/versions/1/publish")
    client.call(url, "POST", "/faults", {"duplicateEvents": 2, "match": {"event_type": "none"}})
    rules.accept_event(url, type="over.view")
    steps = {"event_accepted", "event_processed", "rule_made", "rule_fired"}
    full = _wait(
        url,
        lambda found: (
            _done(found) == up | steps
            and found["pipeline"]["applied"]["total"] == 1
            and found["latency"]["looked_at"] == 1
        ),
    )

    assert full["pipeline"]["accepted"] | {"per_second": 0} == {
        "total": 1,
        "exact": False,
        "per_second": 0,
    }
    assert full["faults"][0]["knob"] == "duplicateEvents"
    assert set(full["faults"][0]) == {"knob", "mode", "seconds_left"}
    assert 0 < full["faults"][0]["seconds_left"] <= 300
    assert (full["latency"]["looked_at"], full["latency"]["p99_ms"] > 0) == (1, True)
    assert sum(each["end"] for each in full["partitions"]) >= 1
    assert not any(each["stale"] for each in full["partitions"])
    assert full["series"]["step_seconds"] == 5.0
    assert full["series"]["since"] <= full["at"]

    dispatcher.kill()
    with system.database.connect() as conn:
        conn.execute("update dispatchers set heartbeat_at = now() - interval '11 seconds'")
        # As many as would hide the relays behind them, were there one limit for all.
        conn.execute(
            "insert into dispatchers (name, heartbeat_at)"
            " select 'd-' || n, now() - interval '1 minute' from generate_series(1, 300) n"
        )
    silent = _wait(url, lambda found: "dispatcher_up" not in _done(found))
    states = {each["service"]: each["state"] for each in silent["services"]}
    assert states == {"api": "up", "relay": "up", "consumer": "up", "dispatcher": "silent"}


def test_rates_are_of_the_last_ten_seconds_and_never_negative() -> None:
    beats = _pulse()
    assert beats.rates() == pulse.Rates()
    for number in range(9):
        beats.add(_sample(number * 2.5, accepted=number * 25, applied=max(0, number - 4) * 10))

    rates = beats.rates()
    assert (rates.accepted, rates.applied) == (10.0, 4.0)
    beats.add(_sample(22.5, accepted=0, applied=40))
    assert beats.rates().accepted == 0.0


def test_points_are_five_seconds_each_and_bounded() -> None:
    beats = _pulse()
    for number in range(2 * pulse.POINTS_MAX * pulse.SAMPLES_A_POINT):
        beats.add(_sample(number * 2.5, accepted=number * 5, pending=number, lag=7))

    points = beats.series()
    assert len(points) == pulse.POINTS_MAX
    assert {point.accepted for point in points} == {2.0}
    assert points[1].at - points[0].at == timedelta(seconds=5)
    assert (points[-1].lag, beats.since) == (7, NOW)


def test_confirmed_of_a_minute_is_unknown_until_a_minute_was_seen() -> None:
    beats = _pulse()
    for number in range(24):
        beats.add(_sample(number * 2.5, confirmed=number))
    assert beats.confirmed_last_minute() is None

    beats.add(_sample(60, confirmed=24))
    assert beats.confirmed_last_minute() == 24


def test_a_kind_that_nobody_heard_of_is_unknown_and_the_answering_api_is_up() -> None:
    started = NOW - timedelta(hours=1)
    rows = [
        _instance("relay", up=False, seen_at=NOW - timedelta(minutes=2)),
        _instance("consumer", started_at=None),
    ]

    found = {
        each.service: each
        for each in liveness.group(rows, own_name="api-9", started_at=started, now=NOW)
    }

    assert [found[kind].state for kind in liveness.KINDS] == ["up", "silent", "up", "unknown"]
    assert (found["api"].since, found["api"].instances[0].instance) == (started, "api-9")
    assert found["relay"].since == NOW - timedelta(minutes=2)


def test_the_broker_is_what_living_relays_say() -> None:
    away, near = _instance("relay", broker_away=True), _instance("relay", instance="r-2")

    assert liveness.broker([away, near]).state == "up"
    assert liveness.broker([away]).state == "silent"
    assert liveness.broker([away]).told_at == NOW
    assert liveness.broker([_instance("relay", up=False)]).state == "unknown"


def test_all_who_ask_at_once_get_one_look_and_one_problem() -> None:
    looks: list[int] = []

    async def look() -> int:
        looks.append(1)
        await asyncio.to_thread(len, looks)  # the others ask meanwhile
        if len(looks) == 1:
            raise database_pool.away()
        return len(looks)

    async def ask_often(found: fresh.Fresh[int]) -> list[int | BaseException]:
        return await asyncio.gather(*(found.get() for _ in range(5)), return_exceptions=True)

    async def run() -> None:
        long = fresh.Fresh(look, seconds=60)
        assert all(isinstance(each, problems.Problem) for each in await ask_often(long))
        assert len(looks) == 1
        assert await ask_often(fresh.Fresh(look, seconds=60)) == [2] * 5

    asyncio.run(run())


def test_an_answer_that_ages_at_once_serves_those_only_who_asked_before_its_look_began() -> None:
    looks: list[int] = []

    async def run() -> None:
        began, go = asyncio.Event(), asyncio.Event()

        async def look() -> int:
            looks.append(1)
            began.set()
            await go.wait()
            return len(looks)

        found = fresh.Fresh(look, seconds=0)
        first = asyncio.create_task(found.get())
        await began.wait()
        later = [asyncio.create_task(found.get()) for _ in range(5)]
        go.set()
        assert await asyncio.gather(first, *later) == [1, 2, 2, 2, 2, 2]

        # A look whose caller went away has answered nobody.
        go.clear()
        began.clear()
        gone, waits = (asyncio.create_task(found.get()) for _ in range(2))
        await began.wait()
        gone.cancel()
        go.set()
        assert await waits == 4

    asyncio.run(run())

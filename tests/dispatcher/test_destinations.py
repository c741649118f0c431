"""Limits, breaker and turns: what one destination does is never another one's trouble."""

import itertools
import statistics
from collections.abc import Iterator
from uuid import UUID

import pytest

from shared import sealing
from tests.dispatcher import ledger
from tests.fixtures import sink, stack
from tests.fixtures.deadlines import eventually
from tests.fixtures.notices import Notices

QUICK = {"DISPATCH_POLL_MS": "50", "UPKEEP_SECONDS": "0.1"}
# Of 100 deliveries, from their insert to the answer's record: this much is the machine's noise.
NOISE_SECONDS = 0.05


@pytest.fixture
def receiver() -> Iterator[sink.Sink]:
    with sink.Sink() as started:
        yield started


def test_a_hundred_deliveries_to_a_dead_target_do_not_delay_a_hundred_to_a_fast_one(
    system: stack.System, receiver: sink.Sink
) -> None:
    system.start("dispatcher", DELIVERY_TIMEOUT_MS="60000")
    fast = ledger.add_target(system.database, receiver.url("/ok"))
    _p99(system, ledger.add(system.database, [ledger.Delivery(target_id=fast)] * 100))

    alone: list[float] = []
    beside: list[float] = []
    for _ in range(5):  # interleaved, so that the machine's load meets both alike
        wanted = [ledger.Delivery(target_id=fast)] * 100
        alone.append(_p99(system, ledger.add(system.database, wanted)))
        dead = ledger.add_target(system.database, receiver.url("/hang"), timeout_ms=60_000)
        both = [ledger.Delivery(target_id=dead)] * 100 + wanted
        beside.append(_p99(system, ledger.add(system.database, both)[100:]))

    print(f"p99 alone {alone}, beside a dead target {beside}")
    assert receiver.open_requests == 50  # five dead targets hold their ten places each
    assert statistics.median(beside) < 1.2 * statistics.median(alone) + NOISE_SECONDS


def _p99(system: stack.System, ids: list[UUID]) -> float:
    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")
    return system.database.value(
        "select percentile_cont(0.99) within group ("
        " order by extract(epoch from finished_at - created_at))::float8"
        " from deliveries where id = any(%s)",
        ids,
    )


def test_more_targets_that_hang_than_are_looked_at_do_not_starve_one_that_answers(
    system: stack.System, receiver: sink.Sink
) -> None:
    """Thirty hang, ten are looked at in one claim, and there are sixty places."""
    limits = {"CLAIM_DESTINATIONS_MAX": "10", "DELIVERY_IN_FLIGHT_MAX": "60"}
    system.start("dispatcher", wait=True, **QUICK | limits)
    database = system.database
    fast = ledger.add_target(database, receiver.url("/ok"))
    ids = ledger.add(database, [ledger.Delivery(target_id=fast)])
    eventually(lambda: ledger.states(database, ids) == {"confirmed"}, what="that it answers")
    for _ in range(30):
        hanging = ledger.add_target(database, receiver.url("/hang"), timeout_ms=60_000)
        ledger.add(database, [ledger.Delivery(target_id=hanging)] * 5)
    eventually(lambda: receiver.open_requests == 30, what="half of the places to be taken")

    ids = ledger.add(database, [ledger.Delivery(target_id=fast)] * 40)

    eventually(
        lambda: ledger.states(database, ids) == {"confirmed"},
        what="what is due to the one that answers",
    )
    assert receiver.open_requests == 30


def test_a_target_that_repeats_its_headers_does_not_give_their_values_away(
    system: stack.System,
) -> None:
    sealer = sealing.Sealer.from_keys(stack.SECRETS_KEY)
    with sink.Sink() as receiver:
        url = receiver.url("/echo")
        target = ledger.add_target(system.database, url)
        sealed = sealer.seal(b'{"authorization": "Bearer s3cret-of-shop"}')
        system.database.rows(
            "update targets set headers_sealed = %s, header_names = '{authorization}' returning id",
            sealed,
        )
        system.start("dispatcher", wait=True, **QUICK)
        ids = ledger.add(system.database, [ledger.Delivery(target_id=target)])
        eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="sent")

        assert receiver.hits[0].headers["authorization"] == "Bearer s3cret-of-shop"
    body = system.database.value("select response_body from delivery_attempts")
    assert "'authorization': '[hidden]'" in body
    assert "s3cret" not in body


def test_a_target_that_gets_a_rate_later_is_not_charged_for_what_it_got_before(
    system: stack.System, receiver: sink.Sink
) -> None:
    target = ledger.add_target(system.database, receiver.url("/ok"))
    system.start("dispatcher", wait=True, **QUICK)
    ids = ledger.add(system.database, [ledger.Delivery(target_id=target)] * 50)
    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="all of them")
    with system.database.connect() as conn:
        conn.execute("update targets set rate_per_second = 1")

    ids = ledger.add(system.database, [ledger.Delivery(target_id=target)])

    eventually(
        lambda: ledger.states(system.database, ids) == {"confirmed"},
        deadline_seconds=5,
        what="the first one by the rate",
    )


def test_a_target_that_hangs_leaves_places_for_others(
    system: stack.System, receiver: sink.Sink
) -> None:
    path = receiver.script("tired", "ok", "hang")  # it has answered, so it gets a full share
    dead = ledger.add_target(system.database, receiver.url(path), in_flight_max=100)
    system.start("dispatcher", wait=False, DELIVERY_IN_FLIGHT_MAX="8")
    first = ledger.add(system.database, [ledger.Delivery(target_id=dead)])
    eventually(lambda: ledger.states(system.database, first) == {"confirmed"}, what="its answer")
    ledger.add(system.database, [ledger.Delivery(target_id=dead)] * 20)
    eventually(lambda: receiver.open_requests >= 4, what="its share")

    ids = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/ok"))] * 5)

    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")


def test_a_breaker_opens_lets_one_probe_through_and_closes(
    system: stack.System, receiver: sink.Sink
) -> None:
    path = receiver.script("ill", *["status/500"] * 4, "hold/probe", "ok")
    target = ledger.add_target(system.database, receiver.url(path), in_flight_max=1)
    system.start(
        "dispatcher",
        wait=True,
        BREAKER_FAILURES="3",
        BREAKER_SECONDS="0.5",
        DELIVERY_SCHEDULE_SECONDS="[0.01, 0.01, 0.01, 0.01, 0.01]",
        **QUICK,
    )
    ids = ledger.add(system.database, [ledger.Delivery(target_id=target)] * 20)

    eventually(lambda: len(receiver.hits) == 5, what="the second probe")
    # Half open: in_flight_max may rise, nothing but the probe is under way.
    system.database.rows("update targets set in_flight_max = 10 returning id")
    times = [hit.at for hit in receiver.hits]
    # Whoever claims this one has looked at the half open destination too.
    (other,) = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/ok"))])
    eventually(lambda: ledger.state(system.database, other) == "confirmed", what="a look")
    sending = system.database.value("select count(*) from deliveries where state = 'sending'")
    sent = [hit.path for hit in receiver.hits].count(path)
    with Notices(system.database) as notices:
        receiver.release("probe")
        notices.wait(("target", "changed", str(target)))
    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")

    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[2] >= 0.45  # three failures opened it
    assert gaps[3] >= 0.45  # the first probe failed
    assert (sending, sent) == (1, 5)
    assert _destination(system, target) == (0, None)


def _destination(system: stack.System, target: UUID) -> tuple[int, object]:
    (found,) = system.database.rows(
        "select failures, open_until from destinations where target_id = %s", target
    )
    return found[0], found[1]


def test_410_disables_the_target_and_what_is_due_is_skipped_with_the_reason(
    system: stack.System, receiver: sink.Sink
) -> None:
    target = ledger.add_target(system.database, receiver.url("/gone"), in_flight_max=1)
    process = system.start("dispatcher", wait=True, **QUICK)
    with Notices(system.database) as notices:
        ids = ledger.add(system.database, [ledger.Delivery(target_id=target)] * 5)
        eventually(
            lambda: ledger.states(system.database, ids) == {"failed", "skipped"}, what="all over"
        )
        notices.wait(("target", "disabled", str(target)))

    assert len(receiver.hits) == 1
    reasons = "select distinct reason from deliveries where state = 'skipped'"
    assert "410" in system.database.value(reasons)
    assert "410" in system.database.value("select disabled_reason from targets")
    (audited,) = system.database.rows("select actor, action, target from audit_log")
    assert audited[0].startswith(process.name)
    assert audited[1:] == ("target.disable", f"targets/{target}")
    statuses = {ledger.event_status(system.database, one) for one in ids}
    assert statuses == {"failed", "processed"}  # a skipped delivery is no failure


def test_retry_after_pauses_the_destination_and_is_clamped(
    system: stack.System, receiver: sink.Sink
) -> None:
    polite = receiver.script("polite", "retry-after/429/1", "ok")
    greedy = receiver.script("greedy", "retry-after/503/999999", "ok")
    targets = [
        ledger.add_target(system.database, receiver.url(path), in_flight_max=1)
        for path in (polite, greedy)
    ]
    system.start(
        "dispatcher",
        wait=True,
        RETRY_AFTER_SECONDS_MAX="1.5",
        DELIVERY_SCHEDULE_SECONDS="[0.01, 0.01]",
        **QUICK,
    )
    wanted = [ledger.Delivery(target_id=target) for target in targets for _ in range(3)]
    ids = ledger.add(system.database, wanted)

    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")

    for path, pause in ((polite, 1.0), (greedy, 1.5)):
        first, *rest = [hit.at for hit in receiver.hits if hit.path == path]
        assert len(rest) == 3
        assert pause - 0.05 <= min(rest) - first < pause + 3


def test_in_flight_and_rate_limits_hold_over_two_dispatchers(
    system: stack.System, receiver: sink.Sink
) -> None:
    narrow = ledger.add_target(system.database, receiver.url("/after/0.03"), in_flight_max=3)
    paced = ledger.add_target(system.database, receiver.url("/ok"), rate_per_second=20.0)
    for _ in range(2):
        system.start("dispatcher", wait=False, **QUICK)
    wanted = [
        *[ledger.Delivery(target_id=narrow)] * 60,
        *[ledger.Delivery(target_id=paced)] * 40,
    ]
    ids = ledger.add(system.database, wanted)
    most = 0

    def done() -> bool:
        nonlocal most
        count = "select count(*) from deliveries where state = 'sending' and target_id = %s"
        most = max(most, system.database.value(count, narrow))
        return ledger.states(system.database, ids) == {"confirmed"}

    eventually(done, what="confirmed")

    dispatchers = "select count(distinct dispatcher) from delivery_attempts"
    assert system.database.value(dispatchers) == 2
    assert 1 < most <= 3
    assert _overlaps(system, narrow) <= 3
    sent = system.database.rows(
        "select extract(epoch from started_at)::float8 from delivery_attempts a"
        " join deliveries d on d.id = a.delivery_id where d.target_id = %s order by 1",
        paced,
    )
    times = [row[0] for row in sent]
    # The bucket holds a quarter of a second: five at once, then twenty a second.
    for first, last in itertools.combinations(range(len(times)), 2):
        assert last - first + 1 <= 5 + 20 * (times[last] - times[first]) + 1
    assert times[-1] - times[0] < 2 * (40 - 5) / 20 + 1


def _overlaps(system: stack.System, target: UUID) -> int:
    """The most attempts that were under way at one time, by the history."""
    return system.database.value(
        "select max(n) from (select ("
        "   select count(*) from delivery_attempts o join deliveries p on p.id = o.delivery_id"
        "   where p.target_id = d.target_id"
        "     and o.started_at <= a.started_at and o.finished_at > a.started_at) as n"
        " from delivery_attempts a join deliveries d on d.id = a.delivery_id"
        " where d.target_id = %s) found",
        target,
    )

import pytest

from tests.consumer import checks, samples
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

# Kill points that a start, a batch and an end of the process pass.
ON_THE_WAY = [
    "consumer.on_assign",
    "consumer.after_poll",
    "consumer.before_begin",
    "consumer.after_dedupe_insert",
    "consumer.after_effects",
    "consumer.before_commit",
    "consumer.after_commit_before_offset",
    "consumer.after_offset_commit",
]


def _mixed(amount: int) -> list[samples.Sample]:
    return [
        samples.paid() if number % 3 == 0 else samples.ingested(subject=f"s-{number % 5}", n=number)
        for number in range(amount)
    ]


@pytest.mark.parametrize("point", ON_THE_WAY)
def test_a_consumer_killed_at_any_point_applies_each_event_once(
    system: stack.System, point: str
) -> None:
    sent = _mixed(30)
    samples.accept(system.database, sent)
    samples.Publisher(system.topics).send(sent)
    # Static membership: the second run takes the first one's place without waiting for its session.
    member = {"GROUP_INSTANCE_ID": "one", "BATCH_SIZE_MAX": "10"}
    first = system.start(
        "consumer", wait=False, FAULTS_ENABLED="1", FAILPOINTS=f"{point}=1*kill", **member
    )
    first.child.wait(deadline_seconds=30)
    system.start("consumer", wait=False, **member)

    checks.wait_processed(system.database, len(sent))
    eventually(lambda: _committed(system) == len(sent), what="all offsets committed")

    checks.each_took_effect_once(system.database, sent)


def test_killed_after_the_commit_and_before_the_offset_drops_duplicates_with_the_reason(
    system: stack.System,
) -> None:
    sent = _mixed(40)
    samples.accept(system.database, sent)
    samples.Publisher(system.topics).send(sent)
    member = {"GROUP_INSTANCE_ID": "one"}
    first = system.start(
        "consumer",
        wait=False,
        FAULTS_ENABLED="1",
        FAILPOINTS="consumer.after_commit_before_offset=1*kill",
        **member,
    )
    first.child.wait(deadline_seconds=30)
    applied = checks.count(system.database, "processed_events")
    second = system.start("consumer", wait=False, **member)

    eventually(lambda: _committed(system) == len(sent), what="all offsets committed")

    assert applied > 0
    assert checks.count(system.database, "dropped_records", "verdict = 'redelivered'") == applied
    assert samples.metric(second.port, "oncely_dedupe_hits_total", verdict="redelivered") == applied
    checks.each_took_effect_once(system.database, sent)


def test_a_consumer_killed_while_its_partitions_are_revoked_loses_nothing(
    system: stack.System,
) -> None:
    sent = _mixed(60)
    samples.accept(system.database, sent)
    publisher = samples.Publisher(system.topics)
    publisher.send(sent[:30])
    quick = {"SESSION_TIMEOUT_MS": "2000"}
    first = system.start(
        "consumer",
        wait=True,
        FAULTS_ENABLED="1",
        FAILPOINTS="consumer.on_revoke=1*kill",
        **quick,
    )
    checks.wait_processed(system.database, 30)
    system.start("consumer", wait=False, **quick)  # its joining takes partitions from the first
    first.child.wait(deadline_seconds=30)
    publisher.send(sent[30:])

    checks.wait_processed(system.database, len(sent))

    checks.each_took_effect_once(system.database, sent)


@pytest.mark.parametrize("point", ["consumer.before_commit", "consumer.after_commit_before_offset"])
def test_an_error_raised_around_the_commit_repeats_the_batch_without_a_second_effect(
    system: stack.System, point: str
) -> None:
    sent = _mixed(20)
    samples.accept(system.database, sent)
    samples.Publisher(system.topics).send(sent)
    system.start("consumer", FAULTS_ENABLED="1", FAILPOINTS=f"{point}=2*raise")

    checks.wait_processed(system.database, len(sent))
    eventually(lambda: _committed(system) == len(sent), what="all offsets committed")

    checks.each_took_effect_once(system.database, sent)


def _committed(system: stack.System) -> int:
    return system.database.value(
        "select coalesce(sum(greatest(committed_offset, 0)), 0) from consumer_partitions"
    )

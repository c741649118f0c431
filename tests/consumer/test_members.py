import http.client
import signal

import msgspec
import pytest

from cli.stack import services
from tests.consumer import checks, samples
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

QUICK = {"SESSION_TIMEOUT_MS": "2000"}


def _mixed(amount: int) -> list[samples.Sample]:
    return [
        samples.paid() if number % 3 == 0 else samples.ingested(subject=f"s-{number % 50}")
        for number in range(amount)
    ]


def _partitions(process: services.ServiceProcess) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse().read()
    except OSError:
        return 0
    finally:
        connection.close()
    return msgspec.json.decode(answer)["detail"]["partitions"]


# A KIP-848 group waits for the broker's own session timeout of 45 s when a member is killed: the
# same code as in the classic group, which is told to wait 2 s.
@pytest.mark.parametrize(
    ("leaves_by", "protocol"),
    [("SIGTERM", "classic"), ("SIGKILL", "classic"), ("SIGTERM", "consumer")],
)
def test_two_consumers_and_one_leaves_nothing_is_lost_and_nothing_happens_twice(
    system: stack.System, leaves_by: str, protocol: str
) -> None:
    sent = _mixed(600)
    samples.accept(system.database, sent)
    publisher = samples.Publisher(system.topics)
    settings = {"BATCH_SIZE_MAX": "20", "GROUP_PROTOCOL": protocol, **QUICK}
    first, second = (system.start("consumer", wait=True, **settings) for _ in range(2))
    eventually(
        lambda: _partitions(first) == _partitions(second) == 6,
        deadline_seconds=30,
        what="both to have their share",
    )
    publisher.send(sent[:300])
    eventually(lambda: checks.count(system.database, "processed_events") > 50, what="work")
    if leaves_by == "SIGTERM":
        assert first.stop() == 0
    else:
        first.kill()
    publisher.send(sent[300:])

    checks.wait_processed(system.database, len(sent))

    checks.each_took_effect_once(system.database, sent)
    assert checks.count(system.database, "dead_letters") == 0


def test_a_consumer_frozen_past_its_session_applies_nothing_twice_and_joins_again(
    system: stack.System,
) -> None:
    sent = _mixed(60)
    samples.accept(system.database, sent)
    publisher = samples.Publisher(system.topics)
    # It holds a transaction with its dedupe rows while it is frozen and another member takes over.
    frozen = system.start(
        "consumer",
        name="frozen",
        FAULTS_ENABLED="1",
        FAILPOINTS="consumer.before_commit=1*stop",
        wait=True,
        **QUICK,
    )
    publisher.send(sent[:30])
    eventually(
        lambda: (
            system.database.value(
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name = 'frozen' and state = 'idle in transaction'"
            )
            == 1
        ),
        what="the frozen transaction",
    )
    other = system.start("consumer", wait=False, name="other", **QUICK)
    eventually(lambda: _partitions(other) == 12, deadline_seconds=30, what="the takeover")
    frozen.resume()
    publisher.send(sent[30:])

    checks.wait_processed(system.database, len(sent))
    eventually(
        lambda: _partitions(frozen) == _partitions(other) == 6,
        deadline_seconds=30,
        what="the frozen one to be a member again",
    )

    checks.each_took_effect_once(system.database, sent)
    assert checks.count(system.database, "dead_letters") == 0
    assert frozen.child.alive


def test_a_consumer_killed_when_it_learns_that_it_lost_its_partitions_changes_nothing(
    system: stack.System,
) -> None:
    sent = _mixed(30)
    samples.accept(system.database, sent)
    samples.Publisher(system.topics).send(sent)
    frozen = system.start(
        "consumer",
        wait=False,
        FAULTS_ENABLED="1",
        FAILPOINTS=("consumer.after_offset_commit=1*stop;consumer.on_lost=1*kill"),
        **QUICK,
    )
    eventually(lambda: checks.count(system.database, "processed_events") > 0, what="work")
    other = system.start("consumer", wait=False, **QUICK)
    eventually(lambda: _partitions(other) == 12, deadline_seconds=30, what="the takeover")
    frozen.resume()

    assert frozen.child.wait(deadline_seconds=30) == -signal.SIGKILL

    checks.wait_processed(system.database, len(sent))
    checks.each_took_effect_once(system.database, sent)


def test_revoked_partitions_are_given_up_after_their_work_is_committed_and_none_comes_again(
    system: stack.System,
) -> None:
    sent = _mixed(450)
    samples.accept(system.database, sent)
    samples.Publisher(system.topics).send(sent)
    batches = {"BATCH_SIZE_MAX": "170", "BATCH_LINGER_MS": "500", "QUEUE_BATCHES_MAX": "8", **QUICK}
    # The second batch is about to be committed and others wait behind it when the partitions are
    # asked for (the first one is what came first, of a partition or two). The third is slow, so
    # that partitions given up too early are given up beside it.
    first = system.start(
        "consumer",
        wait=False,
        FAULTS_ENABLED="1",
        FAILPOINTS="consumer.before_commit=1*off->1*wait->1*sleep(1500);consumer.on_revoke=1*wait",
        **batches,
    )
    eventually((system.log_dir / "consumer.before_commit.waiting").exists, what="a running batch")
    second = system.start("consumer", wait=False, **batches)
    eventually(
        (system.log_dir / "consumer.on_revoke.waiting").exists,
        deadline_seconds=30,
        what="the revocation",
    )
    (system.log_dir / "consumer.on_revoke.go").touch()
    (system.log_dir / "consumer.before_commit.go").touch()

    checks.wait_processed(system.database, len(sent))
    committed = "select coalesce(sum(greatest(committed_offset, 0)), 0) from consumer_partitions"
    eventually(
        lambda: system.database.value(committed) == len(sent),
        deadline_seconds=30,
        what="all offsets committed",
    )
    eventually(
        lambda: _partitions(first) == _partitions(second) == 6,
        deadline_seconds=30,
        what="both to have their share",
    )

    # What the first one had begun it finished and committed: the second met none of it.
    assert checks.count(system.database, "dropped_records") == 0
    checks.each_took_effect_once(system.database, sent)


def test_sigterm_drains_commits_and_exits_0(system: stack.System) -> None:
    sent = _mixed(900)
    samples.accept(system.database, sent)
    consumer = system.start("consumer", BATCH_SIZE_MAX="10")
    samples.Publisher(system.topics).send(sent)
    eventually(lambda: checks.count(system.database, "processed_events") > 0, what="work")

    assert consumer.stop(deadline_seconds=11) == 0

    applied = checks.count(system.database, "processed_events")
    system.start("consumer")
    checks.wait_processed(system.database, len(sent))
    # Everything that was applied was committed too: the next run met none of it again.
    assert checks.count(system.database, "dropped_records") == 0
    assert 0 < applied <= len(sent)
    checks.each_took_effect_once(system.database, sent)


def test_postgres_restarted_under_load_loses_nothing_and_readiness_tells(
    private_system: stack.System,
) -> None:
    system, database = private_system, private_system.database
    sent = _mixed(900)
    samples.accept(database, sent)
    publisher = samples.Publisher(system.topics)
    consumer = system.start("consumer", BATCH_SIZE_MAX="10")
    publisher.send(sent[:450])
    eventually(lambda: checks.count(database, "processed_events") > 0, what="work")

    database.server.stop("immediate")
    eventually(lambda: not consumer.ready(), what="not ready without Postgres")
    publisher.send(sent[450:])
    database.server.start()

    checks.wait_processed(database, len(sent), deadline_seconds=60)
    eventually(consumer.ready, what="ready again")
    checks.each_took_effect_once(database, sent)
    assert checks.count(database, "dead_letters") == 0


def test_a_second_sigterm_is_not_needed_while_postgres_is_away(
    private_system: stack.System,
) -> None:
    consumer = private_system.start("consumer")
    private_system.database.server.stop("immediate")
    eventually(lambda: not consumer.ready(), what="not ready without Postgres")

    consumer.child.send_signal(signal.SIGTERM)

    assert consumer.child.wait(deadline_seconds=15) == 0
    private_system.database.server.start()

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cli.stack import services
from services.relay import leases
from shared import events
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually
from tests.relay import rows


@given(alive=st.integers(min_value=0, max_value=200))
def test_fair_shares_cover_all_shards_and_are_not_larger_than_needed(alive: int) -> None:
    share = leases.fair_share(alive=alive)
    living = max(alive, 1)

    assert share * living >= events.SHARD_COUNT
    assert (share - 1) * living < events.SHARD_COUNT


def _owned(database: stack.Database) -> dict[str, int]:
    found = database.rows(
        "select owner from relay_shards where owner is not null and expires_at > now()"
    )
    return dict(Counter(str(owner).split(":")[0] for (owner,) in found))


def _wait_for_shares(database: stack.Database, shares: dict[str, int], seconds: float) -> None:
    eventually(
        lambda: _owned(database) == shares,
        deadline_seconds=seconds,
        what=f"shares {shares}, now {_owned(database)}",
    )


def test_a_relay_that_joins_gets_its_share_and_one_that_leaves_gives_it_back(
    system: stack.System,
) -> None:
    first = system.start("relay", name="one")
    _wait_for_shares(system.database, {"one": 64}, 5)

    system.start("relay", name="two")
    _wait_for_shares(system.database, {"one": 32, "two": 32}, 5)

    assert first.stop() == 0
    # A clean handover takes at most a second; twice that for a busy test machine.
    _wait_for_shares(system.database, {"two": 64}, 2)
    assert system.database.value("select count(*) from relays") == 1


def test_shards_of_a_killed_relay_are_taken_over_after_its_lease(system: stack.System) -> None:
    first = system.start("relay", name="one", wait=True, **rows.SHORT_LEASES)
    system.start("relay", name="two", wait=True, **rows.SHORT_LEASES)
    _wait_for_shares(system.database, {"one": 32, "two": 32}, 5)
    epochs = system.database.value("select sum(epoch) from relay_shards")

    first.kill()

    _wait_for_shares(system.database, {"two": 64}, 2 + 2 + 2)
    assert system.database.value("select sum(epoch) from relay_shards") == epochs + 32


def _start_many(system: stack.System, count: int) -> list[services.ServiceProcess]:
    return [system.start("relay", name=f"relay-{n}", wait=False) for n in range(count)]


def test_relays_that_come_and_go_publish_every_key_once_and_in_order(system: stack.System) -> None:
    total = rows.insert_many(system.database, system.topics.orders, keys=50, per_key=60)
    relays = _start_many(system, 3)
    rows.insert_many(system.database, system.topics.events, keys=50, per_key=60)

    eventually(
        lambda: rows.unpublished(system.database) < total, deadline_seconds=20, what="some progress"
    )
    assert relays[0].stop() == 0
    assert relays[1].stop() == 0

    eventually(lambda: rows.all_published(system.database), deadline_seconds=30, what="a drain")
    for topic in (system.topics.orders, system.topics.events):
        log = rows.read_log(system.topics.bootstrap_servers, topic)
        rows.require_order(log)
        # No crash and no fault: nothing may be there twice.
        assert len(log) == total

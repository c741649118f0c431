from services.relay import proofs
from shared import kafka

TOPIC = "topic"
COUNTS = {TOPIC: 2}
HERE, THERE = (TOPIC, 0), (TOPIC, 1)
KEYS = {kafka.partition_of(key, 2): key for key in ("a", "b", "c", "d")}


def _to_prove(known: proofs.Proofs, place: proofs.Place, now: float = 0.0) -> proofs.Place | None:
    return known.to_prove(TOPIC, KEYS[place[1]], partitions=2, now=now)


def _proven(known: proofs.Proofs, *places: proofs.Place) -> float:
    """Acknowledge a first row of each place; returns the moment."""
    for place in places:
        known.ask(place)
        known.settle(place, place)
    known.take_news(COUNTS)
    return known.fresh_until.get(TOPIC, 0.0) - proofs.PROOF_SECONDS / 2


def test_a_new_producer_gives_each_partition_one_row_until_it_is_acknowledged() -> None:
    known = proofs.Proofs()
    assert _to_prove(known, HERE) == HERE
    assert not known.waits(HERE)

    known.ask(HERE)

    assert known.waits(HERE)
    assert not known.waits(THERE)
    known.settle(HERE, HERE)
    assert known.news
    assert known.waits(HERE), "nothing opens in the middle of a pass"
    known.take_news(COUNTS)
    assert not known.news
    assert _to_prove(known, HERE) is None
    assert _to_prove(known, THERE) == THERE
    assert TOPIC not in known.fresh_until


def test_a_row_without_an_acknowledgement_proves_nothing() -> None:
    known = proofs.Proofs()
    known.ask(HERE)

    known.give_up()

    assert _to_prove(known, HERE) == HERE
    assert not known.waits(HERE)


def test_a_proof_is_renewed_beside_the_flow_and_runs_out_without_one() -> None:
    known = proofs.Proofs()
    proven_at = _proven(known, HERE, THERE)
    half, whole = proven_at + proofs.PROOF_SECONDS / 2, proven_at + proofs.PROOF_SECONDS
    assert _to_prove(known, HERE, half - 1) is None
    assert _to_prove(known, HERE, half + 1) == HERE

    known.ask(HERE)

    assert _to_prove(known, HERE, half + 1) is None, "others go out beside the one that renews"
    assert _to_prove(known, HERE, whole + 1) == HERE
    assert known.waits(HERE)


def test_a_partition_that_turns_out_to_be_another_one_is_proven_there() -> None:
    known = proofs.Proofs()
    known.ask(HERE)

    known.settle(HERE, THERE)
    known.take_news(COUNTS)

    assert not known.waits(HERE)
    assert _to_prove(known, HERE) == HERE
    assert _to_prove(known, THERE) is None

import random
import threading
from typing import Any, override

import pytest
from pydantic import SecretStr

from services.relay import loop, publisher, refusals, settings
from services.relay.queries import outbox
from shared import clock, kafka
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually
from tests.relay import rows

SMALL_LIMIT = 20_000
# Noise, because the broker measures the compressed batch.
LARGE_PAYLOAD = b'{"note":"' + random.Random(7).randbytes(50_000).hex().encode() + b'"}'

# Fills a batch by itself, so that the rows behind it travel in the next ones, and those are small
# when they are compressed.
FULL_PAYLOAD = b'{"note":"' + random.Random(7).randbytes(450_000).hex().encode() + b'"}'
THIN_PAYLOAD = b'{"note":"' + b"0" * 100_000 + b'"}'


def _failure(row_id: int, code: int | None) -> publisher.Failure:
    row: outbox.Row = (
        row_id, clock.now(), 3, f"key-{row_id}", "topic", b"{}", "", "a", 1, "order.paid", 0, "s",
        None, None, rows.TRACEPARENT,
    )  # fmt: skip
    return publisher.Failure(row=row, code=code, error_class="X", message="x")


def test_a_row_above_the_limit_is_guilty_and_its_batch_is_not() -> None:
    failures = [_failure(n, kafka.KafkaError.MSG_SIZE_TOO_LARGE) for n in (1, 2, 3)]

    verdict = refusals.judge(failures, too_large=lambda row: row[0] == 2)

    assert [failure.row[0] for failure in verdict.park] == [2]
    assert not verdict.suspects


def test_without_a_size_the_refused_batch_is_suspected_as_a_whole() -> None:
    failures = [_failure(n, kafka.KafkaError.INVALID_RECORD) for n in (1, 2, 3)]
    failures.append(_failure(4, None))

    verdict = refusals.judge(failures, too_large=lambda _: False)

    assert verdict.suspects == {1, 2, 3}
    assert not verdict.park


def test_a_row_refused_alone_is_guilty() -> None:
    verdict = refusals.judge(
        [_failure(1, kafka.KafkaError.INVALID_RECORD), _failure(2, None)],
        too_large=lambda _: False,
    )

    assert [failure.row[0] for failure in verdict.park] == [1]


def test_unknown_outcomes_accuse_nobody() -> None:
    verdict = refusals.judge([_failure(1, None)], too_large=lambda _: True)

    assert verdict == refusals.Verdict()


@pytest.mark.parametrize(("refused", "together"), [(0, 1), (1, 1), (2, 1), (3, 2), (50, 25)])
def test_a_refused_group_is_halved(refused: int, together: int) -> None:
    assert refusals.group_size(refused=refused) == together


def test_a_topic_that_refuses_us_accuses_the_topic() -> None:
    verdict = refusals.judge(
        [_failure(1, kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED)], too_large=lambda _: False
    )

    assert set(verdict.topics) == {"topic"}
    assert not verdict.park


def _write_a_large_row_in_the_middle(system: stack.System) -> int:
    """Five rows of one key, the third too large, and five of another; returns its id."""
    large = 0
    with system.database.connect() as conn, conn.transaction():
        for seq in range(1, 6):
            payload = LARGE_PAYLOAD if seq == 3 else b"{}"
            row_id = rows.insert(conn, system.topics.orders, key="stuck", seq=seq, payload=payload)
            large = row_id if seq == 3 else large
            rows.insert(conn, system.topics.orders, key="free", seq=seq)
    return large


def _sequences(system: stack.System) -> dict[str, list[int]]:
    return rows.sequences(rows.read_log(system.topics.bootstrap_servers, system.topics.orders))


def _request(system: stack.System, state: str) -> None:
    """What the api does on a redrive or discard."""
    with system.database.connect("oncely_api") as conn:
        conn.execute("update dead_letters set state = %s where state = 'open'", [state])


def _letters(system: stack.System) -> list[tuple[Any, ...]]:
    return system.database.rows(
        "select stage, state, outbox_id, event_type, payload_bytes, error_class from dead_letters"
    )


def _wait_for_letter(system: stack.System) -> None:
    eventually(
        lambda: len(_letters(system)) == 1 and rows.unpublished(system.database) == 3,
        deadline_seconds=20,
        what="one row parked, two rows waiting",
    )


@pytest.mark.parametrize("known_before", [True, False])
def test_a_refused_row_holds_its_key_only_and_redrive_restores_the_order(
    system: stack.System, known_before: bool
) -> None:
    if known_before:
        rows.set_message_bytes_max(
            system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT
        )
    relay = system.start("relay")
    if not known_before:
        # The relay has the old limit in mind: a batch is refused and the producer turns fatal.
        rows.set_message_bytes_max(
            system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT
        )
    large = _write_a_large_row_in_the_middle(system)

    _wait_for_letter(system)

    assert ('"fatal": true' in relay.child.tail(200)) is not known_before
    assert _sequences(system) == {"stuck": [1, 2], "free": [1, 2, 3, 4, 5]}
    assert _letters(system) == [
        ("relay", "open", large, "order.paid", len(LARGE_PAYLOAD), "MSG_SIZE_TOO_LARGE")
    ]

    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, 1_048_588)
    _request(system, "redrive_requested")

    eventually(lambda: rows.all_published(system.database), deadline_seconds=20, what="redriven")
    assert _sequences(system) == {"stuck": [1, 2, 3, 4, 5], "free": [1, 2, 3, 4, 5]}
    assert [letter[1] for letter in _letters(system)] == ["redriven"]


def test_a_redrive_against_the_same_limit_parks_the_row_again(system: stack.System) -> None:
    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT)
    system.start("relay")
    _write_a_large_row_in_the_middle(system)
    _wait_for_letter(system)

    _request(system, "redrive_requested")

    eventually(lambda: len(_letters(system)) == 2, what="a second letter")
    assert sorted(letter[1] for letter in _letters(system)) == ["open", "redriven"]
    assert _sequences(system)["stuck"] == [1, 2]


def test_a_discarded_row_stays_parked_and_its_key_goes_on(system: stack.System) -> None:
    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT)
    system.start("relay")
    _write_a_large_row_in_the_middle(system)
    _wait_for_letter(system)

    _request(system, "discard_requested")

    eventually(lambda: rows.all_published(system.database), what="the key's other rows")
    assert _sequences(system)["stuck"] == [1, 2, 4, 5]
    assert [letter[1] for letter in _letters(system)] == ["discarded"]


def test_a_type_that_may_pass_holds_nobody_back(system: stack.System) -> None:
    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT)
    with system.database.connect() as conn:
        conn.execute(
            "insert into event_types (event_type, key_policy) values ('order.paid', 'pass')"
        )
    system.start("relay")

    _write_a_large_row_in_the_middle(system)

    eventually(lambda: rows.unpublished(system.database) == 1, what="all but the parked row")
    assert _sequences(system)["stuck"] == [1, 2, 4, 5]


def test_waiting_keys_do_not_fill_the_page(system: stack.System) -> None:
    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT)
    relay = system.start("relay", RELAY_PAGE_ROWS_MAX="20", RELAY_IN_FLIGHT_MAX="100")
    with system.database.connect() as conn, conn.transaction():
        rows.insert(conn, system.topics.orders, key="stuck", seq=1, payload=LARGE_PAYLOAD)
        for seq in range(2, 202):
            rows.insert(conn, system.topics.orders, key="stuck", seq=seq)
        rows.insert(conn, system.topics.orders, key="free", seq=1)

    eventually(
        lambda: rows.unpublished(system.database) == 201,
        what="the free key behind 200 waiting rows",
    )
    assert relay.ready()


def test_a_topic_that_is_not_there_holds_its_own_rows_only(system: stack.System) -> None:
    relay = system.start("relay")
    missing = f"{system.topics.prefix}missing"
    with system.database.connect() as conn, conn.transaction():
        rows.insert(conn, missing, key="k", seq=1)
        rows.insert(conn, system.topics.orders, key="k", seq=1)

    eventually(lambda: rows.unpublished(system.database) == 1, what="the other topic's row")
    eventually(lambda: not relay.ready(), what="readiness to tell")
    kafka.create_topics(system.topics.bootstrap_servers, [missing], partitions=6, replication=1)
    eventually(lambda: rows.all_published(system.database), what="the row of the new topic")


def test_nothing_overtakes_the_first_record_of_a_producer_that_is_refused(
    system: stack.System,
) -> None:
    system.start("relay")
    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT)
    with system.database.connect() as conn, conn.transaction():
        rows.insert(conn, system.topics.orders, key="stuck", seq=1, payload=FULL_PAYLOAD)
        for seq in range(2, 21):
            rows.insert(conn, system.topics.orders, key="stuck", seq=seq, payload=THIN_PAYLOAD)

    eventually(lambda: len(_letters(system)) == 1, deadline_seconds=20, what="the row parked")

    assert _sequences(system) == {}
    rows.set_message_bytes_max(system.topics.bootstrap_servers, system.topics.orders, 1_048_588)
    _request(system, "redrive_requested")
    eventually(lambda: rows.all_published(system.database), deadline_seconds=20, what="redriven")
    assert _sequences(system) == {"stuck": list(range(1, 21))}


class _BlindPublisher(publisher.Publisher):
    """Knows no sizes, so that only the broker's refusal is left to go by."""

    @override
    def too_large(self, row: outbox.Row) -> bool:
        return False


def test_a_guilty_row_that_no_size_explains_is_found_by_halving(
    system: stack.System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "Publisher", _BlindPublisher)
    loaded = settings.RelaySettings(
        database_url=SecretStr(system.database.url("oncely_relay")),
        kafka_bootstrap_servers=system.topics.bootstrap_servers,
        topic_prefix=system.topics.prefix,
    )
    stopping = threading.Event()
    relay = loop.Relay(loaded, instance="blind", stopping=stopping, rules=None)
    runner = threading.Thread(target=relay.run)
    runner.start()
    try:
        eventually(lambda: relay.leases.owned and relay.topics.fresh, what="a running relay")
        rows.set_message_bytes_max(
            system.topics.bootstrap_servers, system.topics.orders, SMALL_LIMIT
        )
        large = _write_a_large_row_in_the_middle(system)
        _wait_for_letter(system)
    finally:
        stopping.set()
        runner.join()

    assert [letter[2] for letter in _letters(system)] == [large]
    assert _sequences(system) == {"stuck": [1, 2], "free": [1, 2, 3, 4, 5]}

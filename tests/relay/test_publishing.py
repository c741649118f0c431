import threading

import psycopg

from services.relay import publisher
from services.relay.queries import outbox
from shared import clock, events, kafka
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually
from tests.relay import rows


def _row(subject: str | None) -> outbox.Row:
    return (
        7, clock.now(), 3, "order-1", "topic", b"{}", "0af76519-16cd-43dd-8448-eb211c80319c",
        "order-1", 2, "order.paid", 0, "oncely:orders", subject, None, rows.TRACEPARENT,
    )  # fmt: skip


def test_headers_are_those_of_the_record_format() -> None:
    for subject in (None, "größe"):
        row = _row(subject)
        made = [(name, str(value).encode()) for name, value in publisher.headers_of(row)]

        envelope = events.decode_headers(made)

        assert isinstance(envelope, events.Envelope)
        assert events.encode_headers(envelope) == made
        assert envelope.subject == subject
        assert envelope.time == row[1].isoformat()


def test_a_row_is_published_once_and_its_mark_names_its_record(system: stack.System) -> None:
    relay = system.start("relay")
    with system.database.connect() as conn:
        rows.insert(
            conn, system.topics.events, key="s-1", seq=1, payload=b'{"b": 1,  "a":"\xc3\xa4"}',
            subject="s-1",
        )  # fmt: skip
        conn.execute("notify oncely_outbox")

    eventually(lambda: rows.all_published(system.database), what="published")

    log = rows.read_log(system.topics.bootstrap_servers, system.topics.events)
    assert [(record.key, record.value) for record in log] == [("s-1", b'{"b": 1,  "a":"\xc3\xa4"}')]
    rows.require_honest_marks(system.database, log)
    assert system.database.value("select published_at >= created_at from outbox")
    assert relay.ready()


def test_the_relay_knows_where_the_client_puts_a_key(system: stack.System) -> None:
    keys = [*("x" * length for length in range(1, 41)), "größe-€-😀", "0190b9f0-7c7e-7cc1-9b1e"]
    with system.database.connect() as conn, conn.transaction():
        for key in keys:
            rows.insert(conn, system.topics.orders, key=key, seq=1)

    system.start("relay")

    eventually(lambda: rows.all_published(system.database), what="published")
    log = rows.read_log(system.topics.bootstrap_servers, system.topics.orders)
    assert len({record.partition for record in log}) > 1
    count = kafka.partition_counts(system.topics.bootstrap_servers, [system.topics.orders])
    assert {record.key: record.partition for record in log} == {
        key: kafka.partition_of(key, count[system.topics.orders]) for key in keys
    }


def test_rows_behind_the_first_one_of_a_partition_need_not_wait_for_a_poll(
    system: stack.System,
) -> None:
    system.start("relay", RELAY_POLL_INTERVAL_MS="9000", RELAY_POLL_INTERVAL_MS_MAX="9000")
    total = rows.insert_many(system.database, system.topics.orders, keys=40, per_key=20)
    with system.database.connect() as conn:
        conn.execute("notify oncely_outbox")

    eventually(lambda: rows.all_published(system.database), deadline_seconds=5, what="a drain")
    log = rows.read_log(system.topics.bootstrap_servers, system.topics.orders)
    assert len(log) == total
    rows.require_order(log)


def test_a_backlog_drains_in_order_and_without_duplicates(system: stack.System) -> None:
    total = rows.insert_many(system.database, system.topics.orders, keys=40, per_key=150)

    system.start("relay")

    eventually(lambda: rows.all_published(system.database), deadline_seconds=30, what="a drain")
    log = rows.read_log(system.topics.bootstrap_servers, system.topics.orders)
    assert len(log) == total
    rows.require_order(log)
    rows.require_honest_marks(system.database, log)


def test_a_lower_id_that_commits_later_is_not_lost(system: stack.System) -> None:
    system.start("relay")
    with system.database.connect(autocommit=False) as late, system.database.connect() as early:
        low = rows.insert(late, system.topics.orders, key="late", seq=1)
        high = rows.insert(early, system.topics.orders, key="early", seq=1)
        assert low < high
        eventually(
            lambda: system.database.value(
                "select published_at is not null from outbox where id = %s", high
            ),
            what="the higher id published",
        )
        late.commit()

    eventually(lambda: rows.all_published(system.database), what="the lower id published")
    assert len(rows.read_log(system.topics.bootstrap_servers, system.topics.orders)) == 2


def _write_key(system: stack.System, key: str, stop: threading.Event, count: list[int]) -> None:
    """One writer per key: row after row, each in its own transaction that lasts a moment."""
    with psycopg.connect(system.database.url()) as conn:
        seq = 0
        while not stop.is_set() and seq < 400:
            seq += 1
            rows.insert(conn, system.topics.orders, key=key, seq=seq)
            conn.commit()
        count.append(seq)


def test_order_per_key_holds_while_commits_interleave_with_a_deep_backlog(
    system: stack.System,
) -> None:
    backlog = rows.insert_many(system.database, system.topics.orders, keys=10, per_key=300)
    stop, counts = threading.Event(), list[int]()
    writers = [
        threading.Thread(target=_write_key, args=(system, f"live-{number}", stop, counts))
        for number in range(4)
    ]
    for writer in writers:
        writer.start()

    # Pages of 100 rows: passes of many pages, with commits below the cursor all the time.
    system.start("relay", RELAY_PAGE_ROWS_MAX="100", RELAY_IN_FLIGHT_MAX="300")
    for writer in writers:
        writer.join()

    eventually(lambda: rows.all_published(system.database), deadline_seconds=30, what="a drain")
    log = rows.read_log(system.topics.bootstrap_servers, system.topics.orders)
    rows.require_order(log)
    assert len(log) == backlog + sum(counts)


def test_a_day_that_began_without_its_partition_stops_no_relay(system: stack.System) -> None:
    with system.database.connect() as conn:
        days = conn.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'outbox'::regclass and inhrelid <> 'outbox_default'::regclass"
        ).fetchall()
        for (day,) in days:
            conn.execute(f"drop table {day}".encode())
        rows.insert(conn, system.topics.orders, key="k", seq=1)

    relay = system.start("relay", wait=False)

    eventually(lambda: rows.all_published(system.database), what="published")
    eventually(relay.ready, what="ready")
    made = "select count(*) from pg_inherits where inhparent = 'outbox'::regclass"
    assert system.database.value(made) == len(days), "the days to come have theirs, today has not"

"""The schema itself: migrations are complete, checked, and safe to run twice or at once."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from shared import errors, events, migrations
from tests.fixtures import stack


def _empty(servers: stack.Servers, name: str) -> str:
    servers.postgres.drop_database(name)
    servers.postgres.create_database(name)
    return servers.postgres.url(name)


def test_two_migrators_at_once_apply_each_file_once(servers: stack.Servers) -> None:
    url = _empty(servers, "migrate_twice")

    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(migrations.up, [url, url]))

    assert sorted(map(len, applied)) == [0, len(migrations.available())]
    servers.postgres.drop_database("migrate_twice")


def test_an_edited_file_stops_the_migrator(servers: stack.Servers) -> None:
    url = _empty(servers, "migrate_edited")
    migrations.up(url)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("update schema_migrations set checksum = 'edited' where version = 2")

    with pytest.raises(errors.SchemaMismatch, match="0002_events was edited"):
        migrations.up(url)
    servers.postgres.drop_database("migrate_edited")


def test_an_older_build_refuses_a_newer_database(database: stack.Database) -> None:
    newer = len(migrations.available()) + 1
    with database.connect() as conn:
        conn.execute(
            "insert into schema_migrations (version, name, checksum) values (%s, 'newer', 'x')",
            [newer],
        )
        with pytest.raises(errors.SchemaMismatch, match=f"schema {newer}"):
            migrations.require_current(conn)


# Table -> the column of its state, and the table of its edges.
STATES = {
    "orders": ("status", "order_edges"),
    "events": ("status", "event_edges"),
    "rule_versions": ("state", "rule_version_edges"),
}


@pytest.mark.parametrize(
    ("table", "initial"),
    [("orders", "created"), ("events", "pending"), ("rule_versions", "draft")],
    ids=STATES,
)
def test_only_the_edges_of_the_table_are_legal(
    database: stack.Database, table: str, initial: str
) -> None:
    column, edges_table = STATES[table]
    edges = set(database.rows(f"select from_{column}, to_{column} from {edges_table}"))
    states = {state for edge in edges for state in edge}
    legal: set[tuple[str, str]] = set()

    for start, end in itertools.permutations(sorted(states), 2):
        with database.connect(autocommit=False) as conn:
            _insert(conn, table, start)
            if _refusal(conn, table, end) is None:
                legal.add((start, end))
            conn.rollback()

    assert initial in states
    assert legal == edges


def test_a_rule_version_never_changes_what_it_says(database: stack.Database) -> None:
    with database.connect() as conn:
        _insert(conn, "rule_versions", "draft")
        for change in (
            "condition = 'false'",
            "actions = '[1]'",
            "event_type = 'x'",
            "version = 2",
            "engine = 'json-logic-qubit'",
            "engine_version = 'x'",
        ):
            with pytest.raises(psycopg.errors.IntegrityError, match="never changes"):
                conn.execute(f"update rule_versions set {change}".encode())


@pytest.mark.parametrize("state", ["published", "shadow"])
def test_a_rule_has_one_version_of_that_state(database: stack.Database, state: str) -> None:
    with database.connect() as conn:
        _insert(conn, "rule_versions", state)
        with pytest.raises(psycopg.errors.UniqueViolation, match=f"rule_versions_one_{state}"):
            conn.execute(
                "insert into rule_versions (rule_id, version, state, event_type, condition,"
                " actions, engine, engine_version) select rule_id, 2, state, event_type, condition,"
                " actions, engine, engine_version from rule_versions"
            )


def test_a_forged_second_order_event_is_refused_by_the_schema(database: stack.Database) -> None:
    with database.connect() as conn:
        _insert(conn, "events", "pending")
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute("update events set source = 'oncely:orders'")


def test_the_outbox_has_partitions_ahead_and_an_alarm_behind(database: stack.Database) -> None:
    with database.connect("oncely_relay") as conn:
        conn.execute("select make_outbox_partitions(5)")
        made = conn.execute("select make_outbox_partitions(5)").fetchone()
    names = database.rows(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'outbox'::regclass"
    )

    assert made == (0,)
    assert len(names) == 7
    assert ("outbox_default",) in names


def test_a_day_with_an_unpublished_row_is_never_dropped(database: stack.Database) -> None:
    with database.connect() as conn:
        for day in ("20200101", "20200102"):
            conn.execute(
                f"create table outbox_{day} partition of outbox"
                f" for values from ('{day} 00:00+00') to ('{int(day) + 1} 00:00+00')".encode()
            )
        conn.execute(
            "insert into outbox (created_at, shard, event_id, aggregate_id, aggregate_seq,"
            " event_type, source, traceparent, topic, kafka_key, payload)"
            " values ('2020-01-02Z', 0, gen_random_uuid(), 'a', 1, 't', 's', '', 't', 'k', '')"
        )
    with database.connect("oncely_relay") as conn:
        dropped = conn.execute("select drop_outbox_partitions(7)").fetchone()

    assert dropped == (1,)
    assert database.value("select to_regclass('outbox_20200102') is not null")


def _refusal(conn: psycopg.Connection[tuple[object, ...]], table: str, status: str) -> str | None:
    """Name the constraint that refuses the edge; None when it is legal."""
    try:
        conn.execute(f"update {table} set {STATES[table][0]} = %s".encode(), [status])
    except psycopg.errors.CheckViolation as error:
        return error.diag.constraint_name
    return None


def _insert(conn: psycopg.Connection[tuple[object, ...]], table: str, status: str) -> None:
    if table == "orders":
        conn.execute(
            "insert into orders (id, customer_id, currency, amount, status)"
            " values (gen_random_uuid(), 'ada', 'EUR', 1, %s)",
            [status],
        )
    elif table == "rule_versions":
        conn.execute(
            "with r as (insert into rules (id, name) values (gen_random_uuid(), 'r') returning id)"
            " insert into rule_versions (rule_id, version, state, event_type, condition, actions,"
            " engine, engine_version) select id, 1, %s, 't', 'true', '[]', 'datalogic', '1' from r",
            [status],
        )
    else:
        conn.execute(
            "insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type,"
            " payload, payload_hash, status, traceparent)"
            " select id, 'api', 'x', id::text, 1, 't', '{}', %s, %s, '' from gen_random_uuid() id",
            [events.payload_hash("t", None, b"{}"), status],
        )

"""Every cell of the rights matrix: what a role may do with a table, and nothing else."""

from tests.fixtures import stack

# Table -> role -> rights. S select, I insert, D delete, U(columns) update. A table or role that is
# missing here may do nothing; oncely_reader may select everywhere and is checked apart.
MATRIX: dict[str, dict[str, str]] = {
    "orders": {"api": "S I U(status,updated_at,version)", "consumer": "S U(settled_at)"},
    "events": {"api": "S I U(received_count,replayed_at,status)", "consumer": "S U(status)"},
    "event_receipts": {"api": "S I U(last_seen_at,seen_count)"},
    "event_types": {
        "api": "S I D U(data_schema,key_policy,processing_timeout_ms,retention_days,retry_limit,"
        "revision,topic,updated_at)",
        "relay": "S",
        "consumer": "S",
    },
    "order_edges": {"api": "S"},
    "event_edges": {"api": "S"},
    "outbox": {
        "api": "S I",
        "relay": "S U(attempts,discarded_at,kafka_offset,kafka_partition,last_error,parked_at,"
        "published_at)",
    },
    "relay_shards": {"api": "S", "relay": "S U(*)"},
    "relays": {"api": "S", "relay": "S I D U(*)"},
    "processed_events": {"consumer": "S I"},
    "dropped_records": {"api": "S", "consumer": "S I"},
    "event_attempts": {"api": "S", "consumer": "S I"},
    "ledger_entries": {"api": "S", "consumer": "S I"},
    "waiting_events": {"consumer": "S I D U(*)"},
    "consumer_partitions": {"api": "S", "consumer": "S I U(*)"},
    "dead_letters": {
        "api": "S U(resolution_reason,state)",
        "relay": "S I U(resolved_at,state)",
        "consumer": "S I U(attempts,resolved_at,state)",
    },
    "unexpired_events": {},
    "rules": {"api": "S I U(active,archived_at,name,revision,updated_at)", "consumer": "S"},
    "rule_versions": {
        "api": "S I U(published_at,retired_at,shadowed_at,state)",
        "consumer": "S",
    },
    "rule_version_edges": {"api": "S"},
    "rulebook_state": {"api": "S U(version)", "consumer": "S"},
    "rulebook_readers": {"api": "S I D U(*)", "consumer": "S I D U(*)"},
    "rule_suspensions": {"api": "S U(resumed_at)", "consumer": "S I"},
    "rule_executions": {"api": "S", "consumer": "S I"},
    "rule_skips": {"api": "S", "consumer": "S I"},
    "backtests": {
        "api": "S I U(baseline_errors,both_matched,cancel_requested,candidate_errors,changed,error,"
        "examined,finished_at,first_id,gained,heartbeat_at,lost,neither_matched,not_reconstructed,"
        "position_id,position_type,runner,runs,started_at,state,total)",
    },
    "backtest_examples": {"api": "S I"},
    "idempotency_keys": {"api": "S I D"},
    "audit_log": {"api": "S I", "relay": "I", "consumer": "I", "faults": "I"},
    "fault_rules": {"api": "S", "relay": "S", "consumer": "S", "faults": "S I D U(*)"},
    "fault_state": {"api": "S", "relay": "S", "consumer": "S", "faults": "S U(*)"},
    "fault_seen": {"api": "S I U(*)", "relay": "S I U(*)", "consumer": "S I U(*)"},
    "fault_hits": {"api": "S I", "relay": "S I", "consumer": "S I"},
    "schema_migrations": {"api": "S", "relay": "S", "consumer": "S"},
}
ROLES = ("api", "relay", "consumer", "faults")

TABLES = """
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
    order by relname"""
RIGHTS = """
    select
      has_table_privilege(%(role)s, c.oid, 'select'),
      has_table_privilege(%(role)s, c.oid, 'insert'),
      has_table_privilege(%(role)s, c.oid, 'delete'),
      has_table_privilege(%(role)s, c.oid, 'update'),
      has_table_privilege(%(role)s, c.oid, 'truncate'),
      array(select a.attname::text from pg_attribute a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
              and has_column_privilege(%(role)s, c.oid, a.attnum, 'update') order by 1)
    from pg_class c where c.oid = ('public.' || %(table)s)::regclass"""


def _rights(database: stack.Database, *, role: str, table: str) -> str:
    with database.connect() as conn:
        parameters = {"role": f"oncely_{role}", "table": table}
        row = conn.execute(RIGHTS.encode(), parameters).fetchone()
    assert row is not None
    select, insert, delete, update, truncate, columns = row
    assert not truncate
    words = [word for word, held in (("S", select), ("I", insert), ("D", delete)) if held]
    if update:
        words.append("U(*)")
    elif columns:
        words.append(f"U({','.join(columns)})")
    return " ".join(words)


def test_each_role_has_exactly_its_rights_on_each_table(database: stack.Database) -> None:
    tables = [row[0] for row in database.rows(TABLES)]

    found = {
        table: {role: held for role in ROLES if (held := _rights(database, role=role, table=table))}
        for table in tables
    }

    assert found == MATRIX


def test_the_reader_may_only_read(database: stack.Database) -> None:
    tables = [row[0] for row in database.rows(TABLES)]

    assert {_rights(database, role="reader", table=table) for table in tables} <= {"S", ""}


def test_no_service_role_is_privileged(database: stack.Database) -> None:
    query = """
        select rolname from pg_roles
        where rolname like 'oncely\\_%'
          and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)
    """

    assert database.rows(query) == []


def test_history_cannot_be_rewritten_even_by_its_owner(database: stack.Database) -> None:
    query = "select tgrelid::regclass::text from pg_trigger where tgname like '%\\_append\\_only'"

    assert {row[0] for row in database.rows(query)} == {
        "audit_log",
        "ledger_entries",
        "fault_hits",
        "rule_executions",
        "rule_skips",
    }


def test_the_bounds_of_a_role_hold_even_for_a_client_that_forgets_them(
    database: stack.Database,
) -> None:
    for role in ("api", "relay", "consumer"):
        with database.connect(f"oncely_{role}") as conn:
            assert conn.execute("show lock_timeout").fetchone() == ("5s",)
            assert conn.execute("show statement_timeout").fetchone() == ("30s",)
            assert conn.execute("show search_path").fetchone() == ("public",)

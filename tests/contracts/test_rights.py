"""Every cell of the rights matrix: what a role may do with a table, and nothing else."""

from tests.fixtures import stack

# Table -> role -> rights. S select, I insert, D delete, U(columns) update. A table or role that is
# missing here may do nothing; oncely_reader may select everywhere and is checked apart.
MATRIX: dict[str, dict[str, str]] = {
    "orders": {"api": "S I U(status,updated_at,version)", "consumer": "S U(settled_at)"},
    "events": {
        "api": "S I U(received_count,replay,replayed_at,status)",
        "consumer": "S U(status)",
        "dispatcher": "U(status)",  # and reads the columns that say whether it is done
    },
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
    "processed_events": {"consumer": "S I", "dispatcher": "S"},
    "dropped_records": {"api": "S", "consumer": "S I"},
    "event_attempts": {"api": "S", "consumer": "S I"},
    "ledger_entries": {"api": "S", "consumer": "S I"},
    "waiting_events": {"consumer": "S I D U(*)"},
    "consumer_partitions": {"api": "S", "consumer": "S I U(*)"},
    "dead_letters": {
        "api": "S U(resolution_reason,resolved_at,state)",
        "relay": "S I U(resolved_at,state)",
        "consumer": "S I U(attempts,resolved_at,state)",
        "dispatcher": "S I U(attempts,resolved_at,state)",
    },
    "dispatchers": {"api": "S", "dispatcher": "S I D U(*)"},
    "unexpired_events": {},
    "targets": {
        "api": "I U(archived_at,disabled_at,disabled_reason,header_names,headers_sealed,"
        "in_flight_max,name,rate_per_second,revision,timeout_ms,updated_at,url)",
        # Api and consumer have a right to the columns that hold nothing sealed.
        "dispatcher": "S U(disabled_at,disabled_reason,revision,updated_at)",
    },
    # What is sealed, only the dispatcher reads: the api has a right to the other columns.
    "target_secrets": {"api": "I U(expires_at)", "dispatcher": "S"},
    "destinations": {
        "api": "S U(failures,open_until,paused_until)",
        "consumer": "S I",
        "dispatcher": "S U(answered_at,claimed_at,failures,open_until,paused_until,refilled_at,"
        "tokens)",
    },
    "deliveries": {
        "api": "S U(finished_at,next_attempt_at,reason,schedule_from,state)",
        "consumer": "S I",
        "dispatcher": "S U(attempt_no,finished_at,last_error,last_status,lease_expires_at,"
        "leased_by,next_attempt_at,reason,schedule_from,sending_since,state,unknown_attempts)",
    },
    "delivery_edges": {"api": "S"},
    "delivery_requests": {"api": "S", "consumer": "I", "dispatcher": "S"},
    "delivery_attempts": {"api": "S", "dispatcher": "S I U(late_answer)"},
    "replays": {
        "api": "S I U(error,examined,finished_at,heartbeat_at,position_id,rate_per_second,replayed,"
        "runner,skipped_expired,skipped_open,skipped_unapplied,started_at,state,total)",
    },
    "event_replays": {"api": "S I", "consumer": "S"},
    "event_runs": {"api": "S"},  # a view of processed_events
    "api_keys": {"api": "S I U(last_used_at,revoked_at,revoked_by)"},
    "api_keys_state": {"api": "S U(version)"},
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
    "audit_log": {
        "api": "S I",
        "relay": "I",
        "consumer": "I",
        "dispatcher": "I",
        "faults": "I",
    },
    "fault_rules": {
        "api": "S",
        "relay": "S",
        "consumer": "S",
        "dispatcher": "S",
        "faults": "S I D U(*)",
    },
    "fault_state": {
        "api": "S",
        "relay": "S",
        "consumer": "S",
        "dispatcher": "S",
        "faults": "S U(*)",
    },
    "fault_seen": dict.fromkeys(("api", "relay", "consumer", "dispatcher"), "S I U(*)"),
    "fault_hits": dict.fromkeys(("api", "relay", "consumer", "dispatcher"), "S I"),
    "schema_migrations": dict.fromkeys(("api", "relay", "consumer", "dispatcher"), "S"),
}
ROLES = ("api", "relay", "consumer", "dispatcher", "faults")

TABLES = """
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v')
      and not relispartition
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
        "event_replays",
    }


def test_the_bounds_of_a_role_hold_even_for_a_client_that_forgets_them(
    database: stack.Database,
) -> None:
    for role in ("api", "relay", "consumer", "dispatcher"):
        with database.connect(f"oncely_{role}") as conn:
            assert conn.execute("show lock_timeout").fetchone() == ("5s",)
            assert conn.execute("show statement_timeout").fetchone() == ("30s",)
            assert conn.execute("show search_path").fetchone() == ("public",)

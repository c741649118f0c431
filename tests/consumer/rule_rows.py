"""Rules as the api stores them, for tests of the consumer alone."""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import uuid_utils.compat

from tests.fixtures import stack

NEVER_ENDING = {"all": [[*range(100)], {"all": [[*range(100)], {"all": [[*range(100)], True]}]}]}
LOG: list[dict[str, Any]] = [{"key": "log", "type": "log", "params": {}}]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and its first version."""

    rule_id: UUID
    version_id: int


def store(
    database: stack.Database,
    condition: Any,
    *,
    event_type: str = "payment.completed",
    state: str = "published",
    engine: str = "datalogic",
    actions: Sequence[Any] = LOG,
) -> Stored:
    """A rule with one version, in force when this returns."""
    rule_id = uuid_utils.compat.uuid7()
    with database.connect() as conn, conn.transaction():
        conn.execute("insert into rules (id, name) values (%s, 'a rule')", [rule_id])
        row = conn.execute(
            "insert into rule_versions (rule_id, version, state, event_type, condition, actions,"
            " engine, engine_version) values (%s, 1, %s, %s, %s, %s, %s, '0') returning id",
            [
                rule_id,
                state,
                event_type,
                msgspec.json.encode(condition).decode(),
                msgspec.json.encode(list(actions)).decode(),
                engine,
            ],
        ).fetchone()
        raise_version(conn)
    assert row is not None
    return Stored(rule_id=rule_id, version_id=row[0])


def raise_version(conn: Any) -> None:
    conn.execute("update rulebook_state set version = version + 1")


def change(database: stack.Database, statement: LiteralString, *parameters: Any) -> None:
    """One statement and the new version, in one transaction."""
    with database.connect() as conn, conn.transaction():
        conn.execute(statement, list(parameters))
        raise_version(conn)


def executions(database: stack.Database, event_id: UUID) -> dict[int, str]:
    """Version -> result, skipped ones included."""
    applied = database.rows(
        "select version_id, result from rule_executions where event_id = %s", event_id
    )
    skipped = database.rows(
        "select unnest(version_ids), 'skipped' from rule_skips where event_id = %s", event_id
    )
    return dict([*applied, *skipped])

"""schemas/sql in order, each file once, under an advisory lock, with checksums; then passwords and
topics.

`python -m shared.migrations up` runs as the owner of the database; services only ask
`require_current`. An applied file never changes: its checksum is stored, and a difference stops
everything.
"""

import hashlib
import logging
import re
import sys
from pathlib import Path
from typing import Any, cast

import msgspec
from psycopg import sql
from pydantic import Field, SecretStr

from shared import database, errors, kafka, settings

SQL_FOLDER = Path(__file__).resolve().parent.parent / "schemas" / "sql"
SERVICE_ROLES = (
    "oncely_api",
    "oncely_relay",
    "oncely_consumer",
    "oncely_dispatcher",
    "oncely_reader",
)

_LOCK_KEY = 7_146_041_889  # any fixed number: "two migrators at once" means the second waits
_LOCK_SECONDS = 60
_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_log = logging.getLogger(__name__)


class MigrationSettings(settings.Settings):
    """What the migrator needs beside the common settings."""

    role_password: SecretStr = Field(
        default=SecretStr(""),
        description="Password to set on the service roles; empty leaves them alone.",
    )
    topic_partitions: int = Field(
        default=6, ge=1, le=1000, description="Partitions of each topic; fixed once created."
    )
    topic_replication: int = Field(
        default=1, ge=1, le=10, description="Copies of each partition; 3 in production."
    )


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One file of schemas/sql."""

    version: int
    name: str
    text: str
    checksum: str


def main(arguments: list[str]) -> int:
    """`up` migrates, sets passwords and makes topics; `status` prints what is applied and what is
    not.
    """
    loaded = settings.load(MigrationSettings)
    if arguments == ["status"]:
        with database.connect(loaded.database_dsn, application_name="oncely-migrate") as conn:
            applied = _applied(conn)
        for migration in available():
            print(f"{migration.name}  {'applied' if migration.version in applied else 'pending'}")
        return 0
    if arguments != ["up"]:
        sys.stderr.write("usage: python -m shared.migrations up | status\n")
        return 2
    try:
        for name in up(loaded.database_dsn, role_password=loaded.role_password.get_secret_value()):
            print(f"applied {name}")
        if loaded.kafka_bootstrap_servers:
            kafka.create_topics(
                loaded.kafka_bootstrap_servers,
                loaded.all_topics,
                partitions=loaded.topic_partitions,
                replication=loaded.topic_replication,
            )
    except errors.OncelyError as error:
        sys.stderr.write(f"migration refused: {error}\n")
        return 1
    print(f"schema {available()[-1].version}")
    return 0


def available() -> list[Migration]:
    """All files of schemas/sql in order. Raises SchemaMismatch for a bad name or a gap in the
    numbers.
    """
    found: list[Migration] = []
    for path in sorted(SQL_FOLDER.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or int(match[1]) != len(found) + 1:
            message = f"{path.name}: expected {len(found) + 1:04}_name.sql"
            raise errors.SchemaMismatch(message)
        text = path.read_text(encoding="utf-8")
        found.append(
            Migration(
                version=len(found) + 1,
                name=path.stem,
                text=text,
                checksum=hashlib.sha256(text.encode()).hexdigest(),
            )
        )
    return found


def up(dsn: str, *, role_password: str = "") -> list[str]:
    """Apply what is missing, each file in its own transaction, and return the names of what was
    applied.

    Raises SchemaMismatch when an applied file was edited or the database is newer than this build.
    """
    with database.connect(dsn, application_name="oncely-migrate", autocommit=True) as conn:
        conn.execute("select set_config('lock_timeout', %s, false)", [f"{_LOCK_SECONDS}s"])
        conn.execute("select pg_advisory_lock(%s)", [_LOCK_KEY])
        _make_ledger(conn)
        missing = _missing(_applied(conn))
        for migration in missing:
            _apply(conn, migration)
        if role_password:
            _set_passwords(conn, role_password)
    return [migration.name for migration in missing]


def require_current(conn: database.Connection[Any]) -> None:
    """Raise SchemaMismatch unless the database has exactly the schema of this build ("schema 6,
    need 7").
    """
    need = available()[-1].version
    row = conn.execute("select coalesce(max(version), 0) from schema_migrations").fetchone()
    have = int(row[0]) if row else 0
    if have != need:
        message = f"schema {have}, need {need}: run `python -m shared.migrations up`"
        raise errors.SchemaMismatch(message)


def _make_ledger(conn: database.Connection[Any]) -> None:
    conn.execute("""
        create table if not exists schema_migrations (
          version    integer     not null,
          name       text        not null,
          checksum   text        not null,
          applied_at timestamptz not null default now(),
          constraint schema_migrations_pkey primary key (version)
        )""")


def _applied(conn: database.Connection[Any]) -> dict[int, str]:
    rows = conn.execute(
        "select version, checksum from schema_migrations order by version"
    ).fetchall()
    return dict(cast("list[tuple[int, str]]", rows))


def _missing(applied: dict[int, str]) -> list[Migration]:
    files = available()
    if applied and max(applied) > len(files):
        message = (
            f"schema {max(applied)}, this build knows {len(files)}: it is older than the database"
        )
        raise errors.SchemaMismatch(message)
    for migration in files:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            message = (
                f"{migration.name} was edited after it was applied; put it back and write a "
                f"new file"
            )
            raise errors.SchemaMismatch(message)
    return [migration for migration in files if migration.version not in applied]


def _apply(conn: database.Connection[Any], migration: Migration) -> None:
    with conn.transaction():
        # Unprepared, because a file holds many statements and only the simple protocol takes them.
        conn.execute(migration.text.encode(), prepare=False)
        conn.execute(
            "insert into schema_migrations (version, name, checksum) values (%s, %s, %s)",
            [migration.version, migration.name, migration.checksum],
        )
    _log.info("migration applied: %s", migration.name)


def _set_passwords(conn: database.Connection[Any], password: str) -> None:
    for role in SERVICE_ROLES:
        conn.execute(
            sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password))
        )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

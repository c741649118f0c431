"""Questions to a Postgres server and to Kafka brokers, for `oncely doctor`."""

import time

import msgspec
import psycopg
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

CONNECT_SECONDS = 3


class Deliveries(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger owes: how long the oldest one is overdue, and what nobody knows."""

    overdue_seconds: float | None
    unknown: int


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection told."""

    version: str
    version_number: int
    clock_skew_seconds: float
    schema_version: int | None
    fsync: bool
    outbox_oldest_seconds: float | None = None
    deliveries: Deliveries | None = None


class Brokers(msgspec.Struct, frozen=True, kw_only=True):
    """What one metadata call told."""

    advertised: list[str]
    partitions: dict[str, int]


def database(url: str) -> Database | str:
    """Ask the server; a string is the reason why not."""
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as conn:
            # clock_timestamp, not now(): the answer is compared with our clock at once.
            row = conn.execute(
                "select current_setting('server_version'),"
                " current_setting('server_version_num')::int,"
                " extract(epoch from clock_timestamp())::float8,"
                " current_setting('fsync') = 'on',"
                " to_regclass('public.schema_migrations') is not null"
            ).fetchone()
            assert row is not None
            skew = row[2] - time.time()
            schema = _one(conn, "select max(version) from schema_migrations") if row[4] else None
            oldest = _oldest(conn) if schema else None
            deliveries = _deliveries(conn) if schema else None
    except psycopg.Error as error:
        return str(error).strip() or type(error).__name__
    return Database(
        version=row[0],
        version_number=row[1],
        clock_skew_seconds=skew,
        fsync=row[3],
        schema_version=None if schema is None else int(schema),
        outbox_oldest_seconds=oldest,
        deliveries=deliveries,
    )


def brokers(bootstrap_servers: str) -> Brokers | str:
    """Ask the brokers; a string is the reason why not."""
    options: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap_servers,
        "log_level": 0,
    }
    try:
        metadata = AdminClient(options).list_topics(timeout=CONNECT_SECONDS)
    except KafkaException as error:
        return str(error)
    return Brokers(
        advertised=sorted(f"{each.host}:{each.port}" for each in metadata.brokers.values()),
        partitions={
            name: len(topic.partitions)
            for name, topic in metadata.topics.items()
            if not name.startswith("__")
        },
    )


def _one(conn: psycopg.Connection, query: str) -> float | None:
    row = conn.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def _oldest(conn: psycopg.Connection) -> float | None:
    """Age of the oldest row that the relay still owes; parked rows are owed too."""
    return _one(
        conn,
        "select extract(epoch from now() - min(created_at))::float8"
        " from outbox where published_at is null",
    )


def _deliveries(conn: psycopg.Connection) -> Deliveries | None:
    """None where the schema is older than deliveries. Both counts walk small partial indexes."""
    if _one(conn, "select 1 where to_regclass('public.deliveries') is not null") is None:
        return None
    overdue = _one(
        conn,
        "select extract(epoch from now() - min(next_attempt_at))::float8"
        " from deliveries where state = 'pending' and next_attempt_at <= now()",
    )
    unknown = _one(conn, "select count(*) from deliveries where state = 'unknown'")
    return Deliveries(overdue_seconds=overdue, unknown=int(unknown or 0))

"""Real servers for a measurement, with the settings that performance claims are made under."""

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from cli.stack import kafka, postgres
from shared import migrations
from tests.fixtures import stack

# fsync and synchronous_commit stay on. Commit timestamps tell when a row became visible, exactly.
SETTINGS = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "track_commit_timestamp": "on",
}


@contextlib.contextmanager
def running() -> Generator[stack.Servers]:
    """Start Postgres 18 and one Kafka broker in a temporary folder; nothing is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="oncely-bench-") as name:
        folder = Path(name)
        servers = stack.Servers(
            postgres=postgres.PostgresServer(folder / "postgres", settings=SETTINGS),
            kafka=kafka.KafkaCluster(folder / "kafka"),
        )
        try:
            servers.postgres.start()
            servers.kafka.start()
            servers.postgres.create_database(stack.TEMPLATE)
            migrations.up(
                servers.postgres.url(stack.TEMPLATE), role_password=servers.postgres.password
            )
            yield servers
        finally:
            servers.kafka.kill()
            servers.postgres.purge()


@contextlib.contextmanager
def fresh_system(servers: stack.Servers, log_dir: Path) -> Generator[stack.System]:
    """One empty database, two empty topics, and a starter of services that stops them again."""
    with stack.fresh_database(servers.postgres) as database:
        system = stack.System(
            database=database, topics=stack.fresh_topics(servers), log_dir=log_dir
        )
        try:
            yield system
        finally:
            system.stop()

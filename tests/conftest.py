"""Fixtures that every test may ask for; tests/fixtures has the classes behind them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures import stack


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Servers]:
    """One Postgres and one broker for the whole run; tests that kill them use private_servers."""
    started = stack.start_servers(tmp_path_factory.mktemp("servers"))
    yield started
    stack.stop_servers(started)


@pytest.fixture
def database(servers: stack.Servers) -> Iterator[stack.Database]:
    with stack.fresh_database(servers.postgres) as fresh:
        yield fresh


@pytest.fixture
def topics(servers: stack.Servers) -> stack.Topics:
    return stack.fresh_topics(servers)


@pytest.fixture
def system(
    database: stack.Database, topics: stack.Topics, tmp_path: Path
) -> Iterator[stack.System]:
    made = stack.System(database=database, topics=topics, log_dir=tmp_path)
    yield made
    made.stop()


@pytest.fixture
def private_servers(tmp_path: Path) -> Iterator[stack.Servers]:
    """Servers that belong to one test, which may kill and restart them."""
    started = stack.start_servers(tmp_path / "servers")
    yield started
    stack.stop_servers(started)


@pytest.fixture
def private_system(private_servers: stack.Servers, tmp_path: Path) -> Iterator[stack.System]:
    """Services on the private servers."""
    with stack.fresh_database(private_servers.postgres) as fresh:
        made = stack.System(
            database=fresh, topics=stack.fresh_topics(private_servers), log_dir=tmp_path
        )
        yield made
        made.stop()

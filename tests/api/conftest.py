"""One api for the tests of a module: they share its database and look at their own rows only."""

from collections.abc import Iterator

import msgspec
import pytest

from tests.fixtures import stack


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """A running api and its database."""

    url: str
    database: stack.Database


@pytest.fixture(scope="module")
def api(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-api.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("api")
        )
        yield Api(url=system.start("api").url, database=database)
        system.stop()

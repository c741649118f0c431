"""Targets that the tests of the api send, and an api that can keep their secrets."""

import contextlib
import itertools
from collections.abc import Generator
from pathlib import Path
from typing import Any

from shared import sealing
from tests.api.conftest import Api
from tests.fixtures import client, stack

KEY = sealing.make_key()
TARGETS_MAX = 10

_numbers = itertools.count(1)


@contextlib.contextmanager
def serving(servers: stack.Servers, folder: Path, *, networks: str = "") -> Generator[Api]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-api.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(database=database, topics=topics, log_dir=folder)
        try:
            process = system.start(
                "api",
                SECRETS_KEY=KEY,
                WEBHOOK_ALLOW_CIDRS=networks,
                TARGETS_MAX=str(TARGETS_MAX),
            )
            yield Api(url=process.url, database=database)
        finally:
            system.stop()


def target(**changes: Any) -> dict[str, Any]:
    """A member that is None is left out."""
    body = {"name": f"target {next(_numbers)}", "url": "https://example.com/hooks", **changes}
    return {name: value for name, value in body.items() if value is not None}


def create(api: Api, **changes: Any) -> dict[str, Any]:
    answer = client.call(api.url, "POST", "/targets", target(**changes))
    assert answer.status == 201, answer
    return answer.body


def counts(database: stack.Database) -> tuple[int, ...]:
    """How much is stored of targets, and how often one was changed."""
    return database.rows(
        "select (select count(*) from targets), (select coalesce(sum(revision), 0) from targets),"
        " (select count(*) from target_secrets), (select count(*) from audit_log)"
    )[0]

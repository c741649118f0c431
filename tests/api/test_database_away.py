"""Postgres frozen, or gone in the middle of a COMMIT: a bounded answer that says what is known."""

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.api import samples
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

pytestmark = pytest.mark.chaos

POINT = "api.after_insert_before_commit"
BOUNDS = {
    "COMMIT_SECONDS": "1.5",
    "REQUEST_SECONDS": "4",
    "READ_TIMEOUT_MS": "500",
    "POOL_WAIT_SECONDS": "1",
    "DRAIN_SECONDS": "2",
}
REQUEST_SECONDS = 4.0
IN_COMMIT = (
    "select pid from pg_stat_activity where state = 'idle in transaction'"
    " and application_name like 'oncely-api-writer%%' and datname = current_database()"
)


def _send(url: str, request: tuple[str, str, object]) -> tuple[client.Answer, float]:
    return _timed(url, *request)


def _timed(url: str, method: str, path: str, body: object = None) -> tuple[client.Answer, float]:
    started = time.monotonic()
    answer = client.call(url, method, path, body, headers={"Idempotency-Key": "frozen"})
    return answer, time.monotonic() - started


@contextlib.contextmanager
def _frozen(servers: stack.Servers) -> Generator[None]:
    """SIGSTOP to the postmaster and its backends: the sockets stay open and nobody answers."""
    postmaster = psutil.Process(servers.postgres.child.pid)
    servers.postgres.child.pause()
    family = postmaster.children(recursive=True)
    try:
        for process in family:
            process.suspend()
        yield
    finally:
        for process in family:
            process.resume()
        servers.postgres.child.resume()


def test_frozen_postgres_is_503_within_the_deadline(
    private_servers: stack.Servers, private_system: stack.System
) -> None:
    api = private_system.start("api", wait=True, **BOUNDS)
    order_id = samples.create_order(api.url)
    client.call(api.url, "GET", f"/orders/{order_id}")
    with _frozen(private_servers):
        sent: list[tuple[str, str, object]] = [
            ("POST", "/orders", samples.order()),
            ("POST", "/events", samples.event()),
            ("POST", f"/orders/{order_id}/pay", None),
            ("GET", "/orders", None),
            ("GET", f"/orders/{order_id}", None),
            ("GET", "/events/stats", None),
            ("GET", "/health/ready", None),
            ("POST", f"/dead-letters/{order_id}/redrive", None),
        ] * 4
        with ThreadPoolExecutor(len(sent)) as pool:
            answers = list(pool.map(functools.partial(_send, api.url), sent))
        assert {answer.status for answer, _ in answers} == {503}
        assert max(seconds for _, seconds in answers) < REQUEST_SECONDS + 1.5
        assert client.call(api.url, "GET", "/health/live").status == 200
        late, seconds = _timed(api.url, "POST", "/orders", samples.order())
        assert (late.status, late.headers["retry-after"]) == (503, "2")
        assert seconds < REQUEST_SECONDS + 1.5

    eventually(api.ready, deadline_seconds=20, what="the api to be ready again")
    samples.create_order(api.url)
    answer = client.call(api.url, "GET", f"/orders/{order_id}")
    assert answer.status == 200
    samples.require_whole_orders(private_system.database)


def test_sigterm_ends_an_api_whose_postgres_is_frozen(
    private_servers: stack.Servers, private_system: stack.System
) -> None:
    api = private_system.start("api", wait=True, **BOUNDS)
    samples.create_order(api.url)
    with _frozen(private_servers), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_timed, api.url, "POST", "/orders", samples.order())
        started = time.monotonic()
        status = api.stop(deadline_seconds=20)
        assert status >= 0  # not killed by the deadline above
        assert time.monotonic() - started < 15
        waiting.exception()


def _create(url: str, key: str) -> client.Answer:
    return client.call(url, "POST", "/orders", samples.order(), headers={"Idempotency-Key": key})


def _waiting_in_commit(system: stack.System, folder: Path) -> int:
    eventually((folder / f"{POINT}.waiting").exists, what="a batch to be about to commit")
    return eventually(
        lambda: [pid for (pid,) in system.database.rows(IN_COMMIT)], what="its transaction"
    )[0]


def _require_one_order_each(system: stack.System, url: str, keys: list[str]) -> None:
    retried: dict[str, client.Answer] = {}
    for key in keys:
        answer = eventually(functools.partial(_accepted, url, key), what="the retry's 201")
        assert answer is not None
        retried[key] = answer
    assert len({answer.body["id"] for answer in retried.values()}) == len(keys)
    for key, answer in retried.items():
        assert _create(url, key).body == answer.body
    assert system.database.value("select count(*) from orders") == len(keys)
    samples.require_whole_orders(system.database)


def _accepted(url: str, key: str) -> client.Answer | None:
    answer = _create(url, key)
    assert answer.status in {201, 503}, answer
    return answer if answer.status == 201 else None


def test_writer_terminated_at_its_commit_is_outcome_unknown(
    system: stack.System, tmp_path: Path
) -> None:
    api = system.start("api", FAULTS_ENABLED="1", FAILPOINTS=f"{POINT}=1*wait")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_create, api.url, "one")
        pid = _waiting_in_commit(system, tmp_path)
        with psycopg.connect(system.database.server.admin_url()) as conn:
            conn.execute("select pg_terminate_backend(%s)", [pid])
        (tmp_path / f"{POINT}.go").touch()
        answer = running.result()
    assert (answer.status, answer.body["type"]) == (503, "/problems/outcome-unknown")
    assert answer.headers["retry-after"]
    _require_one_order_each(system, api.url, ["one"])


def test_restart_at_the_commit_is_outcome_unknown(
    private_servers: stack.Servers, private_system: stack.System, tmp_path: Path
) -> None:
    api = private_system.start("api", FAULTS_ENABLED="1", FAILPOINTS=f"{POINT}=1*wait")
    keys = [f"key-{number}" for number in range(10)]
    with ThreadPoolExecutor(len(keys)) as pool:
        running = [pool.submit(_create, api.url, key) for key in keys]
        _waiting_in_commit(private_system, tmp_path)
        private_servers.postgres.restart("immediate")
        (tmp_path / f"{POINT}.go").touch()
        answers = [future.result() for future in running]
    kinds = Counter(answer.body.get("type", "created") for answer in answers)
    assert kinds["/problems/outcome-unknown"] >= 1
    assert set(kinds) <= {"/problems/outcome-unknown", "/problems/database-away", "created"}
    _require_one_order_each(private_system, api.url, keys)


def test_frozen_at_the_commit_is_outcome_unknown(
    private_servers: stack.Servers, private_system: stack.System, tmp_path: Path
) -> None:
    """COMMIT reaches the kernel and not the server, which reads it when it wakes: the order is
    there although nobody was told so, and the retry finds it.
    """
    api = private_system.start(
        "api", FAULTS_ENABLED="1", FAILPOINTS=f"{POINT}=1*wait", wait=True, **BOUNDS
    )
    with ThreadPoolExecutor(1) as pool:
        running: Future[client.Answer] = pool.submit(_create, api.url, "one")
        _waiting_in_commit(private_system, tmp_path)
        with _frozen(private_servers):
            (tmp_path / f"{POINT}.go").touch()
            answer = running.result()
    assert (answer.status, answer.body["type"]) == (503, "/problems/outcome-unknown")
    eventually(api.ready, deadline_seconds=20, what="the api to be ready again")
    _require_one_order_each(private_system, api.url, ["one"])

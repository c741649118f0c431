"""The api dies or fails at each of its failpoints: all or nothing, and a retry gives one order."""

import http.client
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api import samples
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

POINTS = ("api.before_begin", "api.after_insert_before_commit", "api.after_commit_before_reply")


def _create(url: str, key: str) -> client.Answer | None:
    try:
        return client.call(
            url, "POST", "/orders", samples.order(), headers={"Idempotency-Key": key}
        )
    except (OSError, http.client.HTTPException):
        return None


def _refused(url: str) -> client.Answer | None:
    answer = _create(url, f"down-{uuid.uuid4()}")
    return answer if answer is not None and answer.status == 503 else None


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_failpoint_stores_all_or_nothing(system: stack.System, point: str) -> None:
    dying = system.start("api", FAULTS_ENABLED="1", FAILPOINTS=f"{point}=2*off->kill")
    warm = _create(dying.url, "warm")
    assert warm is not None
    keys = [f"key-{uuid.uuid4()}" for _ in range(40)]
    with ThreadPoolExecutor(40) as pool:
        first = list(pool.map(_create, [dying.url] * len(keys), keys))
    eventually(lambda: not dying.child.alive, what="the api to be dead")
    samples.require_whole_orders(system.database)
    stored = {
        key
        for (key,) in system.database.rows("select key from idempotency_keys where key <> 'warm'")
    }
    assert {key for key, a in zip(keys, first, strict=True) if a is not None} <= stored
    if point == "api.after_commit_before_reply":
        assert stored
    healthy = system.start("api")
    retried = [_create(healthy.url, key) for key in keys]
    for key, before, after in zip(keys, first, retried, strict=True):
        assert after is not None
        assert after.status == 201
        assert ("idempotent-replayed" in after.headers) == (key in stored)
        assert before is None or before.body == after.body
    assert system.database.value("select count(*) from orders") == 41
    samples.require_whole_orders(system.database)


@pytest.mark.parametrize(
    ("point", "slug", "stored"),
    [
        ("api.before_begin", "internal-error", 0),
        ("api.after_insert_before_commit", "internal-error", 0),
        ("api.after_commit_before_reply", "outcome-unknown", 1),
    ],
)
def test_failing_at_a_failpoint_tells_what_is_known(
    system: stack.System, point: str, slug: str, stored: int
) -> None:
    api = system.start("api", FAULTS_ENABLED="1", FAILPOINTS=f"{point}=1*raise")
    answer = _create(api.url, "one")
    assert answer is not None
    assert answer.body["type"] == f"/problems/{slug}"
    assert system.database.value("select count(*) from orders") == stored
    again = _create(api.url, "one")
    assert again is not None
    assert again.status == 201
    assert system.database.value("select count(*) from orders") == 1
    samples.require_whole_orders(system.database)


def test_sigterm_lets_requests_in_flight_finish(system: stack.System) -> None:
    api = system.start(
        "api", FAULTS_ENABLED="1", FAILPOINTS="api.after_insert_before_commit=1*sleep(1500)"
    )
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(_create, api.url, f"key-{n}") for n in range(8)]
        eventually(
            lambda: system.database.value(
                "select count(*) from pg_stat_activity where state = 'idle in transaction'"
                " and application_name like 'oncely-api-writer%%' and datname = current_database()",
            ),
            what="a commit to be under way",
        )
        status = api.stop()
        answers = [future.result() for future in running]
    assert status == 0
    assert {answer.status for answer in answers if answer is not None} == {201}
    done = sum(answer is not None for answer in answers)
    assert done == system.database.value("select count(*) from orders")
    samples.require_whole_orders(system.database)


@pytest.mark.chaos
def test_postgres_restarted_under_load_loses_nothing(
    private_servers: stack.Servers, private_system: stack.System
) -> None:
    api = private_system.start("api")
    load = client.Load(api.url, threads=4)
    load.start()
    eventually(lambda: load.accepted > 50, what="load to flow")
    private_servers.postgres.stop("immediate")
    refused = eventually(lambda: _refused(api.url), what="503 while Postgres is away")
    assert refused is not None
    assert refused.headers["retry-after"]
    assert refused.headers["content-type"] == "application/problem+json"
    assert client.call(api.url, "GET", "/health/ready").status == 503
    assert client.call(api.url, "GET", "/health/live").status == 200
    assert client.call(api.url, "GET", "/orders").status == 503
    private_servers.postgres.start()
    eventually(api.ready, what="the api to be ready again")
    accepted = load.accepted
    eventually(lambda: load.accepted > accepted + 50, what="load to flow again")
    load.stop()
    database = private_system.database
    samples.require_whole_orders(database)
    stored = {order_id for (order_id,) in database.rows("select id::text from orders")}
    assert load.orders <= stored
    paid = database.rows("select aggregate_id from events where event_type = 'order.paid'")
    assert load.paid <= {order_id for (order_id,) in paid}
    ids = database.rows("select external_id from events where source = 'api'")
    assert load.events <= {external_id for (external_id,) in ids}

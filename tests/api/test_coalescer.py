"""The coalescer's bounds: a full queue, a guilty row, a conflict, on a real database."""

import json
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

JSON = {"Content-Type": "application/json"}


def test_one_guilty_row_fails_its_own_request_only(system: stack.System) -> None:
    """More fraction digits than Postgres' numeric holds: no guard of ours knows that limit."""
    api = system.start(
        "api",
        COALESCE_WRITERS="1",
        FAULTS_ENABLED="1",
        FAILPOINTS="api.before_begin=1*off->1*sleep(700)",
    )
    good = [json.dumps(samples.event()).encode() for _ in range(30)]
    bad = b'{"id":"guilty","type":"t","data":0.' + b"1" * 20_000 + b"}"
    client.call(api.url, "POST", "/events", samples.event())
    bodies = [*good[:15], bad, *good[15:]]
    answers = client.at_once(
        31, lambda n: client.call(api.url, "POST", "/events", raw=bodies[n], headers=JSON)
    )
    assert [answer.status for answer in answers] == [201] * 15 + [422] + [201] * 15
    assert answers[15].body["type"] == "/problems/refused-by-database"
    assert system.database.value("select count(*) from events") == 31
    assert system.database.value("select count(*) from outbox") == 31


def test_full_queue_is_503_and_stores_nothing_of_the_refused(system: stack.System) -> None:
    api = system.start(
        "api",
        COALESCE_WRITERS="1",
        COALESCE_QUEUE_MAX="5",
        COALESCE_BATCH_MAX="2",
        FAULTS_ENABLED="1",
        FAILPOINTS="api.before_begin=1*off->1*sleep(1500)",
    )
    samples.create_order(api.url)
    answers = client.at_once(40, lambda _: client.call(api.url, "POST", "/orders", samples.order()))
    counts = Counter(answer.status for answer in answers)
    assert set(counts) == {201, 503}
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.body["type"] == "/problems/queue-full"
    assert refused.headers["retry-after"] == "1"
    assert system.database.value("select count(*) from orders") == counts[201] + 1
    samples.require_whole_orders(system.database)


def test_equal_ids_over_two_apis_never_deadlock(system: stack.System) -> None:
    urls = [system.start("api").url for _ in range(2)]
    events = [samples.event(data=number) for number in range(40)]

    def send(number: int) -> client.Answer:
        order = events if number % 2 else events[::-1]
        return client.call(urls[number % 2], "POST", "/events/batch", order)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(64)))
    assert {answer.status for answer in answers} == {200}
    statuses = Counter(r["status"] for answer in answers for r in answer.body["results"])
    assert statuses == {201: 40, 200: 40 * 63}
    assert system.database.rows("select distinct received_count from events") == [(64,)]
    deadlocks = "select deadlocks from pg_stat_database where datname = current_database()"
    assert system.database.value(deadlocks) == 0


def test_waiting_for_a_locked_order_does_not_stop_other_writers(system: stack.System) -> None:
    api = system.start("api", COALESCE_WRITERS="2")
    locked = samples.create_order(api.url)
    with system.database.connect(autocommit=False) as conn, ThreadPoolExecutor(1) as pool:
        conn.execute("select from orders where id = %s for update", [locked])
        waiting = pool.submit(client.call, api.url, "POST", f"/orders/{locked}/pay")
        eventually(
            lambda: system.database.value(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                " and datname = current_database()"
            ),
            what="the writer to wait for the lock",
        )
        for _ in range(5):
            samples.create_order(api.url)
        conn.rollback()
        assert waiting.result().status == 200


def test_metrics_count_requests_and_batches(api: Api) -> None:
    samples.create_order(api.url)
    client.call(api.url, "GET", f"/orders/{uuid.uuid4()}")
    text = client.call(api.url, "GET", "/metrics").body.decode()
    assert 'oncely_http_duration_count{route="/orders",status="2xx"}' in text
    assert "oncely_coalescer_batch_size_count" in text
    assert 'route="/orders",status="2xx"' in text

import re
import time
from collections.abc import Iterator
from typing import cast

import pytest

from tests import invariants
from tests.docker import engine
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

CONSUMERS = 3
# Services and whose image each runs.
IMAGES = {"api": "api", "relay": "relay", "consumer": "consumer", "dispatcher": "consumer"}
SETTINGS = {
    "WEBHOOK_ALLOW_CIDRS": "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
    "DELIVERY_TIMEOUT_MS": "8000",
    "DELIVERY_LEASE_MARGIN_SECONDS": "0.5",
}
# Never answers the first request, answers all others; prints each webhook-id.
RECEIVER = """
import http.server
import time


class Receiver(http.server.BaseHTTPRequestHandler):
    first = True

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        print(self.headers["webhook-id"], flush=True)
        if Receiver.first:
            Receiver.first = False
            time.sleep(600)
        self.send_response(200)
        self.end_headers()


http.server.ThreadingHTTPServer(("", 8080), Receiver).serve_forever()
"""
ORDER = {"customer_id": "c-1", "currency": "EUR", "amount": 4200}


@pytest.fixture(scope="module")
def compose() -> Iterator[engine.Compose]:
    engine.require(*engine.IMAGES, compose=True)
    made = engine.Compose(**SETTINGS)
    try:
        made.up(consumers=CONSUMERS)
        eventually(lambda: ready(made), deadline_seconds=60, what="the api is ready")
        yield made
    finally:
        made.down()


@pytest.fixture
def receiver(compose: engine.Compose) -> Iterator[str]:
    """A receiver of webhooks in the network of the containers; its id."""
    container = compose.docker(
        "run",
        "--detach",
        "--rm",
        "--network",
        f"{compose.name}_default",
        "--network-alias",
        "receiver",
        "--entrypoint",
        "python",
        "oncely-api:test",
        "-c",
        RECEIVER,
    ).strip()
    yield container
    compose.docker("kill", container)


def ready(compose: engine.Compose) -> bool:
    try:
        return client.call(compose.url, "GET", "/health/ready").status == 200
    except OSError:
        return False


def settled(compose: engine.Compose, order_id: str) -> bool:
    return bool(client.call(compose.url, "GET", f"/orders/{order_id}").body["settled_at"])


def violations(compose: engine.Compose) -> list[str]:
    # The invariants need no more of a database than its rows.
    return invariants.violations(cast("stack.Database", compose))


def test_a_paid_order_is_settled(compose: engine.Compose) -> None:
    created = client.call(compose.url, "POST", "/orders", ORDER)
    assert created.status == 201
    order_id = created.body["id"]
    assert client.call(compose.url, "POST", f"/orders/{order_id}/pay").status == 200
    eventually(lambda: settled(compose, order_id), deadline_seconds=20, what="settled_at is set")


def test_the_api_serves_the_console_that_was_built_into_its_image(compose: engine.Compose) -> None:
    page = client.call(compose.url, "GET", "/console/events")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert b"__CSP_NONCE__" not in page.body
    [script] = re.findall(rb'<script[^>]* src="(/console/assets/[^"]+)"', page.body)

    answer = client.call(
        compose.url, "GET", script.decode(), headers={"Accept-Encoding": "br, gzip"}
    )

    assert answer.status == 200
    assert answer.headers["content-encoding"] == "br"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.call(compose.url, "GET", "/console/assets/none.js").status == 404


def test_services_run_without_rights(compose: engine.Compose) -> None:
    for service, image in IMAGES.items():
        code = (
            "import os, pathlib\n"
            "status = pathlib.Path('/proc/self/status').read_text()\n"
            "assert os.getuid() >= 10000\n"
            "assert 'CapEff:\\t0000000000000000' in status\n"
            "assert 'NoNewPrivs:\\t1' in status\n"
            "found = {entry.name for entry in pathlib.Path('/app/services').iterdir()}\n"
            f"assert found == {{'__init__.py', '__pycache__', {image!r}}}, found\n"
            "try:\n"
            "    pathlib.Path('/app/x').touch()\n"
            "except OSError:\n"
            "    raise SystemExit(0)\n"
            "raise SystemExit('the root can be written')\n"
        )
        compose.run("exec", "-T", service, "python", "-c", code)


def test_sigterm_reaches_the_service_and_it_drains(compose: engine.Compose) -> None:
    for service in ("relay", "consumer", "dispatcher", "api"):
        container = compose.containers(service)[0]
        started = time.monotonic()
        compose.docker("stop", "--time", "20", container)
        assert compose.docker("inspect", "-f", "{{.State.ExitCode}}", container).strip() == "0"
        assert time.monotonic() - started < 15
        compose.docker("start", container)
    eventually(lambda: ready(compose), deadline_seconds=30, what="the api is ready again")


def test_nothing_is_lost_and_nothing_twice_when_containers_are_killed(
    compose: engine.Compose,
) -> None:
    load = client.Load(compose.url, threads=3)
    load.start()
    try:
        for service in ("relay", "consumer", "kafka"):
            wait_for_load(load, f"load before the kill of {service}")
            killed = compose.containers(service)[0]
            compose.docker("kill", killed)
            # The api goes on accepting without the relay, a consumer or Kafka.
            wait_for_load(load, f"load while {service} is dead")
            compose.docker("start", killed)
    finally:
        load.stop()
    eventually(
        lambda: compose.rows("select id from events where status <> 'processed' limit 1") == [],
        deadline_seconds=90,
        what="everything that was accepted is processed",
    )
    assert violations(compose) == []
    assert compose.rows("select id from dead_letters") == []
    assert compose.rows("select event_id from dropped_records where verdict = 'conflict'") == []
    orders = {row[0]: row[1] for row in compose.rows("select id, status from orders")}
    assert load.orders <= set(orders)
    assert {orders[order_id] for order_id in load.paid} == {"paid"}
    events = compose.rows("select external_id from events where event_type = 'load.tick'")
    assert load.events <= {row[0] for row in events}


def test_a_webhook_whose_dispatcher_is_killed_while_it_sends_is_confirmed_once_under_its_id(
    compose: engine.Compose, receiver: str
) -> None:
    params = {"url": "http://receiver:8080/hook", "body": {"id": "{{ external_id }}"}}
    rule = {
        "name": "Docker",
        "event_type": "docker.webhook",
        "condition": True,
        "action": {"type": "call_webhook", "params": params},
    }
    assert client.call(compose.url, "POST", "/rules", rule).status == 201
    event: dict[str, object] = {"id": "e-1", "type": "docker.webhook", "data": {}}
    assert client.call(compose.url, "POST", "/events", event).status == 201

    def received() -> list[str]:
        return compose.docker("logs", receiver).split()

    eventually(received, deadline_seconds=30, what="the first request is there")
    killed = compose.containers("dispatcher")[0]
    compose.docker("kill", killed)
    compose.docker("start", killed)
    delivery = "select id, state, attempt_no, unknown_attempts from deliveries"
    eventually(
        lambda: compose.rows(delivery)[0][1] == "confirmed",
        deadline_seconds=60,
        what="the delivery is confirmed",
    )

    [(delivery_id, _, attempt_no, unknown_attempts)] = compose.rows(delivery)
    assert received() == [delivery_id, delivery_id]
    assert (attempt_no, unknown_attempts) == ("2", "1")
    outcomes = compose.rows("select outcome from delivery_attempts order by attempt_no")
    assert outcomes == [("unknown",), ("confirmed",)]


def wait_for_load(load: client.Load, what: str) -> None:
    enough = load.accepted + 100
    eventually(lambda: load.accepted >= enough, deadline_seconds=60, what=what)

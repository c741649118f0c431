from collections.abc import Iterator

import pytest

from shared import health
from tests.fixtures import client


class Loop:
    alive = True
    state = health.Readiness(ready=True, detail={"backlog": 0})


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def url(loop: Loop) -> Iterator[str]:
    server = health.HealthServer(
        host="127.0.0.1", port=0, alive=lambda: loop.alive, readiness=lambda: loop.state
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.close()


def test_a_loop_that_stands_still_is_not_alive(url: str, loop: Loop) -> None:
    assert client.call(url, "GET", "/health/live").status == 200
    loop.alive = False

    assert client.call(url, "GET", "/health/live").status == 503


def test_ready_says_why_it_is_not(url: str, loop: Loop) -> None:
    loop.state = health.Readiness(ready=False, reasons=["no broker answers"])

    answer = client.call(url, "GET", "/health/ready")

    assert answer.status == 503
    assert answer.body["reasons"] == ["no broker answers"]


def test_an_unknown_path_names_the_known_ones(url: str) -> None:
    answer = client.call(url, "GET", "/")

    assert answer.status == 404
    assert "/health/ready" in answer.body["title"]


def test_metrics_are_prometheus_text(url: str) -> None:
    answer = client.call(url, "GET", "/metrics")

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_silent_heart_is_noticed() -> None:
    heart = health.Heartbeat(silent_seconds_max=1000)
    stopped = health.Heartbeat(silent_seconds_max=0)

    assert heart.alive
    assert not stopped.alive

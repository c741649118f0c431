"""What the services commit reaches a watcher of GET /ws, and `oncely events tail`."""

import json
import threading
import uuid
from typing import Any

import pytest

from cli import main as command_line
from tests.api import rules
from tests.fixtures import client, stack
from tests.fixtures.sink import Sink
from tests.fixtures.watcher import Watcher

QUICK = {
    "DELIVERY_SCHEDULE_SECONDS": "[0.05]",
    "DISPATCH_POLL_MS": "50",
    "UPKEEP_SECONDS": "0.1",
    "LIVE_INTERVAL_MS": "10",
}


def test_a_watcher_sees_the_whole_way_of_an_event(
    system: stack.System, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sink() as sink:
        api = system.start_all(**QUICK).url
        dispatcher = system.start("dispatcher", wait=True, **QUICK)
        _hook(api, "live.good", sink.url("/ok"))
        _hook(api, "live.bad", sink.url("/status/500"))
        with Watcher(api) as watcher:
            watcher.subscribe({"event_types": ["live.*"]})
            good = _send(api, "live.good")

            def seen(kind: str) -> set[str]:
                return {status for one, _, status, _ in watcher.updates() if one == kind}

            whole = {"pending", "published", "processed"}
            watcher.wait(lambda: seen("event") >= whole, "the end of the event")
            assert {item for kind, item, _, _ in watcher.updates() if kind == "event"} == {good}
            watcher.wait(lambda: "confirmed" in seen("delivery"), "the delivery")
            _send(api, "live.bad")
            watcher.wait(lambda: "open" in seen("dead_letter"), "the dead letter")
            watcher.wait(lambda: "failed" in seen("event"), "the end of the second event")
            [letter] = [item for kind, item, _, _ in watcher.updates() if kind == "dead_letter"]
            found = client.call(api, "GET", f"/dead-letters/{letter}").body["letter"]
            assert (found["stage"], found["state"]) == ("delivery", "open")
            client.call(api, "POST", f"/dead-letters/{letter}/redrive")
            watcher.wait(lambda: "redriven" in seen("dead_letter"), "the redrive")
            assert not watcher.of("gap")
        _tail_shows_an_event(api, capsys)
        assert dispatcher.stop() == 0


def _tail_shows_an_event(api: str, capsys: pytest.CaptureFixture[str]) -> None:
    stopping = threading.Event()

    def send_until_seen() -> None:
        while not stopping.wait(0.1):
            _send(api, "live.tail")

    sender = threading.Thread(target=send_until_seen)
    sender.start()
    tail = ["events", "tail", "--type", "live.tail", "--count", "1", "--json", "--url", api]
    try:
        assert command_line.run(tail) == 0
    finally:
        stopping.set()
        sender.join()
    update = json.loads(capsys.readouterr().out)
    assert (update["kind"], update["event_type"]) == ("event", "live.tail")
    assert command_line.run([*tail[:-1], "http://127.0.0.1:1"]) == 3


def _hook(api: str, event_type: str, url: str) -> None:
    params: dict[str, Any] = {"url": url, "body": {"id": "{{ external_id }}"}}
    rules.create(
        api,
        name=event_type,
        event_type=event_type,
        condition=True,
        action={"type": "call_webhook", "params": params},
    )


def _send(api: str, event_type: str) -> str:
    body = {"id": uuid.uuid4().hex, "type": event_type, "data": {"n": 1}}
    return client.call(api, "POST", "/events", body).body["id"]

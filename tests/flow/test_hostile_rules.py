"""The hostile list against the running system: refused at save or stopped by the budget, and
neither the api nor the consumer grows or stops.
"""

import json
import time
from typing import Any, cast

import psutil
import pytest

from shared.rules import port
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually
from tests.shared.rules import hostile

GROWTH_BYTES_MAX = 48 * 1024 * 1024
ANSWER_SECONDS_MAX = 2.0


def _body(condition: Any, engine: port.EngineName) -> bytes:
    """Chains of one operator in another are written without recursion: some are 100,000 deep."""
    head = json.dumps(
        {"name": "hostile", "event_type": "*", "action": {"type": "log"}, "engine": engine}
    )
    levels = 0
    node = condition
    while isinstance(node, dict) and "!" in node:
        [node] = cast("dict[str, list[Any]]", node)["!"]
        levels += 1
    chain = '{"!": [' * levels + json.dumps(node) + "]}" * levels
    return f'{head[:-1]}, "condition": {chain}}}'.encode()


def _save(api: str, condition: Any, engine: port.EngineName) -> client.Answer:
    body = _body(condition, engine)
    started = time.monotonic()
    answer = client.call(
        api, "POST", "/rules", raw=body, headers={"Content-Type": "application/json"}
    )
    assert time.monotonic() - started < ANSWER_SECONDS_MAX
    return answer


def _events(api: str, start: int, count: int, data: dict[str, Any]) -> None:
    items = [{"id": f"{start + n}", "type": "t", "data": data} for n in range(count)]
    answer = client.call(api, "POST", "/events/batch", items)
    assert {item["status"] for item in answer.body["results"]} == {201}, answer


@pytest.mark.timeout(120)
def test_hostile_rules_cost_the_api_and_the_consumer_nothing(system: stack.System) -> None:
    api = system.start_all()
    database = system.database
    consumer = next(each for each in system.services if each.kind == "consumer")
    processes = [psutil.Process(each.child.pid) for each in (api, consumer)]
    assert _save(api.url, True, "datalogic").status == 201
    _events(api.url, 0, 50, {"n": 1})
    eventually(lambda: database.value("select count(*) from rule_executions") == 50, what="50")
    before = [process.memory_info().rss for process in processes]

    for engine in port.ENGINES:
        for name, condition in hostile.REFUSED.items():
            answer = _save(api.url, condition, engine)
            assert answer.status in {400, 413, 422}, (name, answer)
            if answer.status == 422:
                assert answer.body["errors"][0]["pointer"].startswith("/condition"), (name, answer)
    taken = 0
    for engine in port.ENGINES:
        for condition in hostile.BOUNDED.values():
            taken += _save(api.url, condition, engine).status == 201
    _events(api.url, 100, 8, {"xs": list(range(300)), "big": "x" * 2_000})

    eventually(
        lambda: database.value("select count(*) from processed_events") == 58,
        deadline_seconds=60,
        what="every event",
    )
    stored = database.value("select count(*) from rules")
    assert stored == taken + 1
    applied = database.value(
        "select count(*) from rule_executions x join rule_versions v on v.id = x.version_id"
        " where v.condition = 'true' and x.result = 'applied'"
    )
    assert applied == 58
    growth = [
        process.memory_info().rss - earlier
        for process, earlier in zip(processes, before, strict=True)
    ]
    print(f"RSS growth of api and consumer in MiB: {[grown // 2**20 for grown in growth]}")
    assert max(growth) < GROWTH_BYTES_MAX
    assert all(process.is_running() for process in processes)

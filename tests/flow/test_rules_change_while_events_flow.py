"""A rule is edited under load: from when on the new version counts, told by the executions."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

RATE = 1_000
BATCH = 25
SECONDS = 3.0
WARM_UP = 1_000_000  # the number of the batch before the load
OLD, NEW = 100, 50

RULE: dict[str, Any] = {
    "name": "Large payments",
    "event_type": "payment.*",
    "condition": {">=": [{"var": "amount"}, OLD]},
    "action": {"type": "noop"},
}

# Every verdict of the rule: (external id, amount, place in Kafka, version, applied).
VERDICTS = """
    select e.external_id, (e.payload ->> 'amount')::int, p.kafka_partition, p.kafka_offset,
      v.version, x.applied
    from events e
    join processed_events p on p.event_id = e.id
    join (
      select event_id, version_id, true as applied from rule_executions where result = 'applied'
      union all
      select event_id, unnest(version_ids), false from rule_skips
    ) x on x.event_id = e.id
    join rule_versions v on v.id = x.version_id"""


class Sent(msgspec.Struct, frozen=True):
    """One batch: when it was sent, by the monotonic clock."""

    number: int
    sent_at: float


def _send(api: str, number: int, begin: float) -> Sent:
    """At its own moment, whatever became of the others (an open loop)."""
    threading.Event().wait(max(begin + number * BATCH / RATE - time.monotonic(), 0))
    items = [
        {
            "id": f"{number}-{item}",
            "type": "payment.completed",
            "subject": f"customer-{(number * BATCH + item) % 40}",
            "data": {"amount": (number * BATCH + item) % 150},
        }
        for item in range(BATCH)
    ]
    sent_at = time.monotonic()
    answer = client.call(api, "POST", "/events/batch", items)
    assert answer.status == 200
    assert {item["status"] for item in answer.body["results"]} == {201}
    return Sent(number, sent_at)


def test_an_edited_rule_counts_for_every_event_that_is_accepted_after_the_answer(
    system: stack.System,
) -> None:
    system.start("consumer", wait=False)
    api = system.start_all().url
    created = client.call(api, "POST", "/rules", RULE)
    assert created.status == 201, created
    batches = int(RATE * SECONDS / BATCH)
    # Both consumers have joined when every partition moves: else all of it may wait for the join,
    # and the old version would judge nothing.
    _send(api, WARM_UP, time.monotonic() - WARM_UP * BATCH / RATE)
    eventually(
        lambda: system.database.value("select count(*) from processed_events") == BATCH,
        deadline_seconds=30,
        what="the first events",
    )
    begin = time.monotonic()

    with ThreadPoolExecutor(16) as pool:
        sending = [pool.submit(_send, api, number, begin) for number in range(batches)]
        threading.Event().wait(max(begin + SECONDS / 2 - time.monotonic(), 0))
        edited = client.call(
            api,
            "PUT",
            f"/rules/{created.body['id']}",
            {**RULE, "condition": {">=": [{"var": "amount"}, NEW]}},
            headers={"If-Match": created.headers["etag"]},
        )
        answered_at = time.monotonic()
        sent = [each.result() for each in sending]

    assert edited.status == 200, edited
    total = (batches + 1) * BATCH
    eventually(
        lambda: system.database.value("select count(*) from processed_events") == total,
        what="every event",
    )
    verdicts = system.database.rows(VERDICTS)
    assert len(verdicts) == total == len({external_id for external_id, *_ in verdicts})
    for _, amount, _, _, version, applied in verdicts:
        assert applied == (amount >= (OLD if version == 1 else NEW))
    after = {each.number for each in sent if each.sent_at > answered_at}
    versions = {external_id: version for external_id, *_, version, _ in verdicts}
    assert len(after) > batches // 4
    assert {versions[f"{number}-{item}"] for number in after for item in range(BATCH)} == {2}
    assert set(versions.values()) == {1, 2}
    _never_goes_back(verdicts)


def _never_goes_back(verdicts: list[tuple[Any, ...]]) -> None:
    """Within a partition the new version counts from one offset on."""
    latest: dict[int, int] = {}
    for _, _, partition, _, version, _ in sorted(verdicts, key=lambda row: (row[2], row[3])):
        assert version >= latest.get(partition, 1)
        latest[partition] = version

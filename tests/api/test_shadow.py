"""GET /rules/{id}/shadow: the version in shadow beside the published one, attempt by attempt."""

import uuid
from typing import Any

import pytest
import uuid_utils.compat

from tests.api import history
from tests.api.conftest import Api
from tests.fixtures import client

_EXECUTION = """
    insert into rule_executions (event_id, replay, attempt_no, version_id, result, shadow,
      error_class, duration_us)
    values (%s, 0, %s, %s, %s, %s, case when %s = 'failed' then 'EvaluateError' end, 5)"""
_SKIP = "insert into rule_skips values (%s, 0, %s, %s, %s, array_fill(5::real, array[%s]))"


class Attempts:
    """Writes what the consumer writes: one attempt of an event, told by both versions' results."""

    def __init__(self, api: Api, *, event_type: str = "t") -> None:
        self.api = api
        self.event_type = f"{event_type}-{uuid.uuid4()}"
        self.rule_id, (self.live, self.shadow) = history.insert_rule(
            api.database,
            history.version(True, event_type=self.event_type),
            history.version(True, event_type=self.event_type, state="shadow"),
        )

    def add(self, live: str | None, shadow: str | None, *, event_id: str | None = None,
            attempt: int = 1) -> str:  # fmt: skip
        """applied, deduped, failed, skipped; None: not evaluated."""
        if event_id is None:
            event_id = history.post_events(self.api.url, [(self.event_type, {})])[0]
        results = {self.live: live, self.shadow: shadow}
        skipped = [version for version, result in results.items() if result == "skipped"]
        with self.api.database.connect() as conn:
            for version, result in results.items():
                if result not in {None, "skipped"}:
                    in_shadow = version == self.shadow
                    row = [event_id, attempt, version, result, in_shadow, result]
                    conn.execute(_EXECUTION.encode(), row)
            if skipped:
                conn.execute(
                    _SKIP.encode(),
                    [
                        event_id,
                        attempt,
                        skipped,
                        [version == self.shadow for version in skipped],
                        len(skipped),
                    ],
                )
        return event_id

    def compare(self, query: str = "") -> dict[str, Any]:
        answer = client.call(self.api.url, "GET", f"/rules/{self.rule_id}/shadow{query}")
        assert answer.status == 200, answer
        return answer.body


@pytest.fixture
def attempts(api: Api) -> Attempts:
    return Attempts(api)


def test_every_attempt_is_counted_as_what_both_made_of_it(attempts: Attempts) -> None:
    attempts.add("applied", "applied")
    attempts.add("deduped", "applied")
    attempts.add("skipped", "skipped")
    gained = attempts.add("skipped", "applied")
    unpublished = attempts.add(None, "applied")
    lost = attempts.add("applied", "skipped")
    broken = attempts.add("applied", "failed")
    broken_live = attempts.add("failed", "skipped")
    attempts.add("applied", None)

    seen = attempts.compare()

    assert (seen["both"], seen["neither"]) == (2, 1)
    assert (seen["only_shadow"], seen["only_live"]) == (2, 1)
    assert (seen["shadow_errors"], seen["live_errors"], seen["not_compared"]) == (1, 1, 2)
    assert (seen["looked_at"], seen["events"], seen["cut_off"]) == (8, 9, False)
    assert seen["examples"] == {
        "only_shadow": [unpublished, gained],
        "only_live": [lost],
        "shadow_errors": [broken],
        "live_errors": [broken_live],
    }
    assert (seen["version"], seen["state"]) == (2, "shadow")


def test_attempts_of_one_event_are_told_apart(attempts: Attempts) -> None:
    event_id = attempts.add("skipped", "applied", attempt=1)
    attempts.add("applied", "applied", event_id=event_id, attempt=2)
    seen = attempts.compare()
    assert (seen["looked_at"], seen["only_shadow"], seen["both"]) == (2, 1, 1)


def test_only_events_since_then_and_only_so_many_count(attempts: Attempts) -> None:
    for _ in range(3):
        attempts.add("applied", "applied")
    assert attempts.compare("?since=2999-01-01T00:00:00Z")["looked_at"] == 0
    cut = attempts.compare("?events_max=2")
    assert (cut["looked_at"], cut["events"], cut["cut_off"]) == (2, 2, True)


def test_pattern_finds_the_types_that_it_matches(api: Api) -> None:
    prefix = f"p{uuid.uuid4()}"
    rule_id, (_, shadow) = history.insert_rule(
        api.database,
        history.version(True, event_type=f"{prefix}.*"),
        history.version(True, event_type=f"{prefix}.*", state="shadow"),
    )
    event_ids = history.post_events(api.url, [(f"{prefix}.a", 1), (f"{prefix}.b", 1), ("q.a", 1)])
    with api.database.connect() as conn:
        for event_id in event_ids:
            row = [event_id, 1, shadow, "applied", True, "applied"]
            conn.execute(_EXECUTION.encode(), row)
    seen = client.call(api.url, "GET", f"/rules/{rule_id}/shadow").body
    assert (seen["only_shadow"], seen["events"]) == (2, 2)


def test_rule_that_never_was_in_shadow_has_no_comparison(api: Api) -> None:
    rule_id, _ = history.insert_rule(api.database, history.version(True))
    for path in (f"/rules/{rule_id}/shadow", f"/rules/{uuid_utils.compat.uuid7()}/shadow"):
        assert client.call(api.url, "GET", path).status == 404
    answer = client.call(api.url, "GET", f"/rules/{rule_id}/shadow?since=2026-01-01T00:00:00")
    assert answer.status == 422

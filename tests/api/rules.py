"""Rules that the tests of the api send."""

from typing import Any

from tests.api import samples
from tests.fixtures import client, stack

CONDITION = {"and": [{">=": [{"var": "amount"}, 10_000]}, {"==": [{"var": "country"}, "BR"]}]}


def rule(**changes: Any) -> dict[str, Any]:
    """A member that is None is left out."""
    body = {
        "name": "Fraud suspicion",
        "event_type": "payment.completed",
        "condition": CONDITION,
        "action": {"type": "log"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def version(**changes: Any) -> dict[str, Any]:
    return rule(name=None, **changes)


def create(url: str, **changes: Any) -> dict[str, Any]:
    answer = client.call(url, "POST", "/rules", rule(**changes))
    assert answer.status == 201, answer
    return answer.body


def send(
    url: str, method: str, path: str, body: object = None, *, if_match: str | None = None
) -> client.Answer:
    headers = {} if if_match is None else {"If-Match": if_match}
    return client.call(url, method, path, body, headers=headers)


def counts(database: stack.Database) -> tuple[int, ...]:
    """How much is stored of rules, and how often the rulebook was raised."""
    return database.rows(
        "select (select count(*) from rules), (select coalesce(sum(revision), 0) from rules),"
        " (select count(*) from rule_versions), (select version from rulebook_state),"
        " (select count(*) from audit_log)"
    )[0]


def accept_event(url: str, **changes: Any) -> str:
    answer = client.call(url, "POST", "/events", samples.event(**changes))
    assert answer.status == 201, answer
    return str(answer.body["id"])

"""A system with something on every screen, and the address of each."""

from typing import Any

import msgspec

from tests.fixtures import client, sink
from tests.fixtures.deadlines import eventually

# Deliveries end within a second, so that every state is there to be looked at.
DISPATCHER = {"DELIVERY_SCHEDULE_SECONDS": "[0.2]", "DISPATCH_INTERVAL_MS": "50"}
PAYMENT = {"amount": 12_500, "currency": "EUR", "country": "BR"}
_CONDITION = {"and": [{">=": [{"var": "amount"}, 10_000]}, {"==": [{"var": "country"}, "BR"]}]}


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of what `fill` made."""

    event_id: str
    rule_id: str
    delivery_id: str
    target_id: str
    letter_id: str
    job_id: str

    def routes(self) -> dict[str, str]:
        """The pattern of each route in router.tsx, and an address of it that shows something."""
        return {
            "/": "/",
            "/events": "/events?status=processed",
            "/events/$id": f"/events/{self.event_id}",
            "/rules": "/rules",
            "/rules/new": f"/rules/new?event_id={self.event_id}",
            "/rules/$id": f"/rules/{self.rule_id}",
            "/deliveries": "/deliveries",
            "/deliveries/$id": f"/deliveries/{self.delivery_id}",
            "/targets": "/targets",
            "/targets/$id": f"/targets/{self.target_id}",
            "/dead-letters": "/dead-letters",
            "/replays": "/replays",
            "/replays/new": "/replays/new?type=payment.completed",
            "/replays/$id": f"/replays/{self.job_id}",
            "/faults": "/faults",
            "/event-types": "/event-types?type=payment.completed",
            "/keys": "/keys",
            "/reference": "/reference?q=events",
            "/settings": "/settings",
        }

    def tabs(self) -> dict[str, str]:
        """Addresses within a route that show something else."""
        event, rule = f"/events/{self.event_id}", f"/rules/{self.rule_id}"
        return {
            **{f"event {tab}": f"{event}?tab={tab}" for tab in EVENT_TABS},
            **{f"rule {tab}": f"{rule}?tab={tab}" for tab in RULE_TABS},
            "dead letter": f"/dead-letters?letter={self.letter_id}",
        }


EVENT_TABS = ("payload", "attempts", "deliveries", "replays")
RULE_TABS = ("edit", "versions", "backtest", "shadow")


def fill(api: str, receiver: sink.Sink) -> Places:
    """Make what each screen is about: confirmed and failing deliveries, a dead letter, a replay."""
    good = _post(api, "/targets", {"name": "warehouse", "url": receiver.url("/ok")})
    bad = _post(api, "/targets", {"name": "partner", "url": receiver.url("/status/500")})
    rule = _post(api, "/rules", _rule("Large payment", "payment.completed", good["id"]))
    versions = f"/rules/{rule['id']}/versions"
    _post(api, versions, _version("payment.completed", good["id"]) | {"condition": True})
    _post(api, f"{versions}/2/shadow", None)
    _post(api, "/rules", _rule("Refund", "payment.refunded", bad["id"]))
    _post(api, "/orders/seed?count=5", None)
    event = _post(api, "/events", _event("payment-1", "payment.completed"))
    for number in range(2, 12):
        _post(api, "/events", _event(f"payment-{number}", "payment.completed"))
    _post(api, "/events", _event("payment-1", "payment.completed"))
    refund = _post(api, "/events", _event("refund-1", "payment.refunded"))
    eventually(
        lambda: _get(api, f"/deliveries?event_id={event['id']}&state=confirmed")["deliveries"],
        what="the webhook is confirmed",
    )
    letters = eventually(
        lambda: _get(api, f"/dead-letters?event_id={refund['id']}")["dead_letters"],
        deadline_seconds=20,
        what="the refund's webhook is a dead letter",
    )
    _post(api, f"/events/{event['id']}/replay", {})
    job = _post(
        api, "/replays", {"filter": {"type": "payment.completed"}, "reason": "the rule changed"}
    )
    delivery = _get(api, f"/deliveries?event_id={event['id']}")["deliveries"][-1]
    return Places(
        event_id=event["id"],
        rule_id=rule["id"],
        delivery_id=delivery["id"],
        target_id=good["id"],
        letter_id=letters[0]["id"],
        job_id=job["id"],
    )


def _event(external_id: str, event_type: str) -> dict[str, Any]:
    return {"id": external_id, "type": event_type, "subject": external_id, "data": PAYMENT}


def _rule(name: str, event_type: str, target_id: str) -> dict[str, Any]:
    return {"name": name, **_version(event_type, target_id)}


def _version(event_type: str, target_id: str) -> dict[str, Any]:
    action = {"type": "call_webhook", "target": target_id}
    return {"event_type": event_type, "condition": _CONDITION, "action": action}


def _post(api: str, path: str, body: object) -> Any:
    answer = client.call(api, "POST", path, body)
    assert answer.status in {200, 201, 202}, (path, answer.body)
    return answer.body


def _get(api: str, path: str) -> Any:
    answer = client.call(api, "GET", path)
    assert answer.status == 200, answer
    return answer.body

"""Facts and conditions for the tests of rules."""

import json
from typing import Any
from uuid import UUID

from shared import rules
from shared.rules import port

LIMITS = port.Limits()
EVENT_ID = UUID("01932e0c-7c00-7000-8000-000000000001")


def facts(data: Any, **changes: Any) -> port.Facts:
    """Facts of an event with this data: a JSON value, or its bytes."""
    encoded = data if isinstance(data, bytes) else json.dumps(data).encode()
    given: dict[str, Any] = {
        "event_id": EVENT_ID,
        "event_type": "payment.completed",
        "source": "api",
        "subject": "order-1",
        "external_id": "external-id-123",
        "data": encoded,
    }
    return port.Facts(**{**given, **changes})


def compiled(condition: Any, engine: port.EngineName = "datalogic") -> port.Condition:
    return rules.compile_condition(condition, engine=engine, limits=LIMITS)


def evaluated(condition: Any, data: Any, engine: port.EngineName = "datalogic") -> port.Outcome:
    return compiled(condition, engine).evaluate(facts(data))


def refused(condition: Any, engine: port.EngineName = "datalogic") -> list[port.Flaw]:
    return rules.check(condition, engine=engine, limits=LIMITS)

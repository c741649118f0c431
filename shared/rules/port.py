"""What every part of the rules speaks: limits, flaws, facts, outcomes, traces, and the engine port.

Data only. Two engines implement Condition; nothing outside shared.rules sees either of them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

type EngineName = Literal["datalogic", "json-logic-qubit"]
type Result = Literal["matched", "not_matched", "failed"]

ENGINES: tuple[EngineName, ...] = ("datalogic", "json-logic-qubit")
ENGINE_DEFAULT: EngineName = "datalogic"

_UUID7 = 7
_WHITE_SPACE = b" \t\r\n"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule may be and cost. Each field is a setting of the services (RULE_...)."""

    bytes_max: int = 16 * 1024
    depth_max: int = 32
    nodes_max: int = 512
    operations_max: int = 100_000  # of datalogic: 1 to 25 ms at most
    qubit_operations_max: int = 10_000  # of json-logic-qubit, which is slower per operation
    actions_max: int = 10
    output_bytes_max: int = 64 * 1024  # of one rendered template or body


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: an RFC 6901 pointer into what was given, and how to mend it."""

    pointer: str
    message: str


class Refused(Exception):
    """A condition, pattern, template or action that is not taken, with all its flaws."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        super().__init__("; ".join(f"{flaw.pointer or '/'}: {flaw.message}" for flaw in flaws))
        self.flaws = list(flaws)


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one evaluation said. failed is a third outcome, never "no match"."""

    result: Result
    error_class: str | None = None
    message: str | None = None
    pointer: str | None = None


MESSAGE_CHARACTERS_MAX = 300
MATCHED = Outcome(result="matched")
NOT_MATCHED = Outcome(result="not_matched")


class Facts:
    """What conditions and templates read of one event; made once, evaluated against many times.

    A condition's variables are the members of the event's data, and `event` (id, type, source,
    subject, received_at). Data that is no object, or has a member `event` of its own, is found
    whole under `event.data`. received_at is the moment in the event's id, so it is the same in
    every replay and backtest.
    """

    def __init__(
        self,
        *,
        event_id: UUID,
        event_type: str,
        source: str,
        subject: str | None,
        data: bytes,
        external_id: str | None = None,
    ) -> None:
        self.event_id = event_id
        self.event_type = event_type
        self.source = source
        self.subject = subject
        self.external_id = external_id
        self.data = data

    @cached_property
    def text(self) -> str:
        """The JSON document that conditions read. Not parsed here: what is malformed in an object
        shows itself as the outcome MalformedData. Raises ValueError for other data that is no JSON.
        """
        head: dict[str, Any] = {
            "id": str(self.event_id),
            "type": self.event_type,
            "source": self.source,
            "subject": self.subject,
            "received_at": received_at(self.event_id),
        }
        return _splice(head, self.data)

    @cached_property
    def value(self) -> Any:
        """The same, decoded."""
        return _decode(self.text)

    @cached_property
    def native(self) -> dict[str, Any]:
        """Where an engine keeps its own form of these facts, under its own name."""
        return {}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One node's evaluation: which node, what it gave, and in which round of a loop."""

    pointer: str
    expression: msgspec.Raw
    value: msgspec.Raw | None = None
    error: str | None = None
    round: int | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """How an outcome came about, innermost node first; cut off says that steps are missing."""

    outcome: Outcome
    value: msgspec.Raw | None
    steps: list[Step]
    cut_off: bool = False
    why: str = ""


class Condition(Protocol):
    """A checked, compiled condition. May be shared by threads."""

    @property
    def engine(self) -> EngineName: ...

    def evaluate(self, facts: Facts) -> Outcome:
        """Never raises for what the rule or the data do; bounded in time and memory."""
        ...

    def trace(self, facts: Facts) -> Trace:
        """The same with every step; for people, slower."""
        ...


def failed(error_class: str, message: str, pointer: str | None) -> Outcome:
    """The third outcome, with a message of bounded length."""
    short = message[:MESSAGE_CHARACTERS_MAX]
    return Outcome(result="failed", error_class=error_class, message=short, pointer=pointer)


def malformed(error: Exception) -> Outcome:
    """The event's data could not be read, so no rule can look at it."""
    return failed("MalformedData", f"the event's data cannot be read: {error}", None)


def escape(name: str) -> str:
    """A member's name as a part of an RFC 6901 pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def received_at(event_id: UUID) -> str | None:
    """The moment in a UUIDv7 (RFC 9562), in UTC with milliseconds; None for other ids."""
    if event_id.version != _UUID7:
        return None
    seconds, milliseconds = divmod(event_id.int >> 80, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


# Events come in the order of their time, so nearly all share their second with the one before.
@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}"


def _splice(head: dict[str, Any], data: bytes) -> str:
    own = msgspec.json.encode(head).decode()
    text = data.decode()
    body = text.lstrip()
    if body.startswith("{") and not _has_event(data):
        rest = body[1:].lstrip()
        comma = "" if rest.startswith("}") else ","
        return f'{{"event":{own}{comma}{rest}'
    return f'{{"event":{own[:-1]},"data":{text}}}}}'


def _has_event(data: bytes) -> bool:
    """Whether an object has a member `event`; most are told without decoding them."""
    return (b'"event"' in data or b"\\u" in data) and "event" in _decode(data)

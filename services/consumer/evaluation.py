"""What the rules say of one event: every matching version, each by itself, within the type's time.

Pure. A version that fails, for whatever reason, is an execution that says so; the others go on.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

import msgspec

from shared import events
from shared.rules import actions as rule_actions
from shared.rules import patterns, port

BUDGET_EXCEEDED = "BudgetExceeded"
TYPES_REMEMBERED_MAX = 10_000
_REASON_CHARACTERS_MAX = 1000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One live version of a rule, compiled. Without a condition it is broken, and fails."""

    version_id: int
    rule_id: UUID
    version: int
    shadow: bool
    event_type: str
    condition: port.Condition | None
    actions: tuple[rule_actions.Action, ...] = ()
    deliveries: tuple[rule_actions.Action, ...] = ()
    broken: str = ""


class Execution(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A version that applied or failed."""

    entry: Entry
    result: str
    error_class: str | None
    reason: str | None
    duration_us: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every version that looks at the event's type."""

    executions: list[Execution]
    skipped: list[Entry]
    skipped_us: list[float]
    timeout_ms: int | None = None

    @property
    def duration_us(self) -> float:
        return sum(self.skipped_us) + sum(each.duration_us for each in self.executions)

    @property
    def rows(self) -> int:
        """How many rows of history this makes, and of deliveries: each of those has a request."""
        sent = sum(
            2 * len(each.entry.deliveries)
            for each in self.executions
            if each.result == "applied" and not each.entry.shadow
        )
        return len(self.executions) + sent + (1 if self.skipped else 0)


class Overruns:
    """How often each version went over its budget lately; enough of it, and it is spent."""

    def __init__(self, *, count_max: int) -> None:
        self._count_max = count_max
        self._counts: dict[int, int] = {}

    def add(self, version_id: int) -> None:
        self._counts[version_id] = self._counts.get(version_id, 0) + 1

    def spent(self) -> frozenset[int]:
        """The versions that are evaluated no more, from the next event on."""
        return frozenset(
            version_id
            for version_id, count in self._counts.copy().items()
            if count >= self._count_max
        )

    def forget(self) -> None:
        self._counts.clear()


class Book:
    """The live versions as they are at one version of rulebook_state. Never changes, but for the
    overruns, which all books of a process share.
    """

    def __init__(
        self,
        *,
        version: int,
        entries: Iterable[Entry] = (),
        timeouts_ms: Mapping[str, int] | None = None,
        suspended: frozenset[int] = frozenset(),
        overruns: Overruns | None = None,
    ) -> None:
        self.version = version
        self.suspended = suspended
        self.overruns = overruns or Overruns(count_max=1)
        self.count = 0
        self._timeouts_ms = timeouts_ms or {}
        self._by_pattern: dict[str, list[Entry]] = {}
        self._by_type: dict[str, tuple[Entry, ...]] = {}
        for entry in entries:
            self.count += 1
            self._by_pattern.setdefault(entry.event_type, []).append(entry)

    def matching(self, event_type: str) -> tuple[Entry, ...]:
        """The versions that look at a type; a type's rules cost nothing to events of others."""
        if not self._by_pattern:
            return ()
        found = self._by_type.get(event_type)
        if found is None:
            found = tuple(
                entry
                for pattern in patterns.candidates(event_type)
                for entry in self._by_pattern.get(pattern, ())
            )
            if len(self._by_type) >= TYPES_REMEMBERED_MAX:
                self._by_type.clear()
            self._by_type[event_type] = found
        return found

    def timeout_ms(self, event_type: str) -> int | None:
        """The type's own time; None where it has the service's default."""
        return self._timeouts_ms.get(event_type)


EMPTY = Book(version=0)


def evaluate(
    book: Book,
    envelope: events.Envelope,
    data: bytes,
    *,
    timeout_ms_default: int,
    entries: tuple[Entry, ...] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation | None:
    """Evaluate all matching versions, or the given entries; None when there are none.

    The time is looked at between two rules: one evaluation is bounded by its operation budget.
    """
    if entries is None:
        entries = book.matching(envelope.event_type)
    if not entries:
        return None
    facts = port.Facts(
        event_id=envelope.event_id,
        event_type=envelope.event_type,
        source=envelope.source,
        subject=envelope.subject,
        data=data,
    )
    timeout_ms = min(book.timeout_ms(envelope.event_type) or timeout_ms_default, timeout_ms_default)
    suspended = book.suspended | book.overruns.spent()
    executions: list[Execution] = []
    skipped: list[Entry] = []
    skipped_us: list[float] = []
    before = clock()
    deadline = before + timeout_ms / 1000
    for entry in entries:
        outcome = _outcome(entry, facts, suspended=entry.version_id in suspended)
        now = clock()
        duration_us = (now - before) * 1e6
        before = now
        if outcome.result == "not_matched":
            skipped.append(entry)
            skipped_us.append(duration_us)
        else:
            executions.append(_execution(entry, outcome, duration_us))
            if outcome.error_class == BUDGET_EXCEEDED:
                book.overruns.add(entry.version_id)
        if now > deadline:
            return Evaluation(executions=[], skipped=[], skipped_us=[], timeout_ms=timeout_ms)
    return Evaluation(executions=executions, skipped=skipped, skipped_us=skipped_us)


def _outcome(entry: Entry, facts: port.Facts, *, suspended: bool) -> port.Outcome:
    if suspended:
        return _SUSPENDED
    if entry.condition is None:
        return port.Outcome(result="failed", error_class="Uncompilable", message=entry.broken)
    return entry.condition.evaluate(facts)


def _execution(entry: Entry, outcome: port.Outcome, duration_us: float) -> Execution:
    if outcome.result == "matched":
        return Execution(
            entry=entry, result="applied", error_class=None, reason=None, duration_us=duration_us
        )
    at = f" (at {outcome.pointer})" if outcome.pointer else ""
    reason = f"{outcome.message or ''}{at}".replace("\0", "")
    return Execution(
        entry=entry,
        result="failed",
        error_class=outcome.error_class or "EvaluationError",
        reason=reason[:_REASON_CHARACTERS_MAX],
        duration_us=duration_us,
    )


_SUSPENDED = port.Outcome(
    result="failed",
    error_class="Suspended",
    message="went over its budget again and again: publish a better version, or resume this one",
)

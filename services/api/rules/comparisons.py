"""Two versions of a rule on one event: what the candidate gains, loses and changes. Pure.

An error is never "no match": an event on which a version fails counts as its error and as nothing
else.
"""

from typing import Literal, cast

import msgspec

from services.api.queries import backtests
from shared import rules
from shared.rules import actions, patterns, port

# Not `type` statements: Litestar does not look into those.
Kind = Literal["gained", "lost", "changed", "candidate_error", "baseline_error"]
ExampleKind = Literal[Kind, "not_reconstructed"]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One version, compiled."""

    event_type: str
    condition: port.Condition
    actions: list[actions.Action]


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an event counts as: an agreement, or kinds; failed has the outcomes behind errors."""

    agreed: Literal["both_matched", "neither_matched"] | None = None
    kinds: tuple[Kind, ...] = ()
    failed: tuple[port.Outcome, ...] = ()


BOTH = Verdict(agreed="both_matched")
CHANGED = Verdict(agreed="both_matched", kinds=("changed",))
NEITHER = Verdict(agreed="neither_matched")
GAINED = Verdict(kinds=("gained",))
LOST = Verdict(kinds=("lost",))


def make_side(row: backtests.VersionRow, limits: port.Limits) -> Side:
    """Compile a stored version. Raises port.Refused when the limits of today refuse it."""
    engine = cast("port.EngineName", row.engine)
    condition = rules.compile_condition(
        msgspec.json.decode(row.condition), engine=engine, limits=limits
    )
    return Side(
        event_type=row.event_type,
        condition=condition,
        actions=msgspec.json.decode(row.actions, type=list[actions.Action]),
    )


class Comparison:
    """Compares events of one type; which sides look at the type is decided once."""

    def __init__(
        self, candidate: Side, baseline: Side | None, *, event_type: str, limits: port.Limits
    ) -> None:
        self._candidate = _looking(candidate, event_type)
        self._baseline = _looking(baseline, event_type)
        self._same_actions = baseline is None or candidate.actions == baseline.actions
        self._limits = limits

    def compare(self, facts: port.Facts) -> Verdict:
        """A version that does not look at events of the type does not match."""
        mine = theirs = port.NOT_MATCHED
        if self._candidate is not None:
            mine = self._candidate.condition.evaluate(facts)
        if self._baseline is not None:
            theirs = self._baseline.condition.evaluate(facts)
        if mine.result == "failed" or theirs.result == "failed":
            return _failed(mine, theirs)
        if mine.result != theirs.result:
            return GAINED if mine.result == "matched" else LOST
        if mine.result == "not_matched":
            return NEITHER
        return BOTH if self._same_actions or not self._render_differently(facts) else CHANGED

    def _render_differently(self, facts: port.Facts) -> bool:
        assert self._candidate is not None
        assert self._baseline is not None
        return render(self._candidate.actions, facts, limits=self._limits) != render(
            self._baseline.actions, facts, limits=self._limits
        )


def render(
    wanted: list[actions.Action], facts: port.Facts, *, limits: port.Limits
) -> list[actions.Rendered]:
    return [actions.render(action, facts, limits=limits) for action in wanted]


def _failed(mine: port.Outcome, theirs: port.Outcome) -> Verdict:
    kinds: list[Kind] = []
    failed: list[port.Outcome] = []
    if mine.result == "failed":
        kinds.append("candidate_error")
        failed.append(mine)
    if theirs.result == "failed":
        kinds.append("baseline_error")
        failed.append(theirs)
    return Verdict(kinds=tuple(kinds), failed=tuple(failed))


def _looking(side: Side | None, event_type: str) -> Side | None:
    return side if side is not None and patterns.matches(side.event_type, event_type) else None

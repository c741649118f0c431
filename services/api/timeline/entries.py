"""Entries of a timeline: what they say, in which order, and below which other. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

# Not `type` statements: Litestar does not look into those.
Kind = Literal[
    "accepted",
    "receipt",
    "replay",
    "outbox",
    "published",
    "parked",
    "discarded",
    "attempt",
    "rule",
    "rules_skipped",
    "applied",
    "ledger",
    "settled",
    "dropped",
    "delivery",
    "delivery_attempt",
    "delivery_sending",
    "delivery_closed",
    "dead_letter",
    "dead_letter_resolved",
    "waiting",
    "delivery_planned",
]
Outcome = Literal["ok", "failed", "unknown", "waiting", "note"]
TITLE_CHARACTERS_MAX = 300

# Of equal times, the cause comes before what it caused: the order in which the kinds are named.
_RANK = {kind: rank for rank, kind in enumerate(get_args(Kind))}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, or is planned (waiting): when, in one sentence, with its details.

    parent is the key of the entry that it belongs to, e.g. a delivery's for its attempts; the keys
    of the runs are run/0 (the acceptance), run/1 (the first replay) and so on.
    """

    at: datetime
    kind: Kind
    key: str
    parent: str | None
    depth: int
    run: int
    outcome: Outcome
    title: str
    duration_ms: float | None = None
    trace_id: str | None = None
    detail: dict[str, Any] = {}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An entry before its place in the tree is known; trace is a traceparent, none: its run's."""

    at: datetime
    kind: Kind
    key: str
    parent: str | None
    run: int
    outcome: Outcome
    title: str
    duration_ms: float | None = None
    trace: str | None = None
    detail: dict[str, Any] = {}


def arrange(drafts: Sequence[Draft], *, traces: dict[int, str], most: int) -> list[Entry]:
    """In the order of time, each below the entry that it belongs to; the first `most`."""
    ordered = sorted(drafts, key=lambda draft: (draft.at, _RANK[draft.kind], draft.run))[:most]
    by_key = {draft.key: draft for draft in ordered}
    return [_place(draft, by_key, traces) for draft in ordered]


def trace_id(traceparent: str) -> str | None:
    """The trace's id in a traceparent; none where it is no such thing."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 version, trace, span, flags


def run_key(run: int) -> str:
    return f"run/{run}"


def attempt_key(run: int, attempt_no: int) -> str:
    return f"attempt/{run}/{attempt_no}"


def detail_of(row: msgspec.Struct, *without: str) -> dict[str, Any]:
    """A row's members but for those that the entry says itself, and those that are empty."""
    return {
        name: value
        for name, value in msgspec.structs.asdict(row).items()
        if name not in without and value is not None
    }


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def milliseconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000


def _place(draft: Draft, by_key: dict[str, Draft], traces: dict[int, str]) -> Entry:
    wished = () if draft.parent is None else (draft.parent, run_key(draft.run), run_key(0))
    parent = next((key for key in wished if key in by_key), None)
    depth = 0
    above = None if parent is None else by_key[parent]
    while above is not None:
        depth += 1
        above = None if above.parent is None else by_key.get(above.parent)
    trace = draft.trace or traces.get(draft.run) or traces[0]
    return Entry(
        at=draft.at,
        kind=draft.kind,
        key=draft.key,
        parent=parent,
        depth=depth,
        run=draft.run,
        outcome=draft.outcome,
        title=draft.title[:TITLE_CHARACTERS_MAX],
        duration_ms=draft.duration_ms,
        trace_id=trace_id(trace),
        detail=draft.detail,
    )

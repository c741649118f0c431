"""How a replay compares with the first run that was applied, rule by rule. Pure; never stored: the
history that it is told from never changes.
"""

from typing import Literal, cast
from uuid import UUID

import msgspec

from services.api.queries import replay_details, replays
from shared import rules
from shared.rules import port

# Not `type` statements: Litestar does not look into those.
Result = Literal["matched", "not_matched", "failed"]
Why = Literal["version", "result", "missing", "new", "actions"]

DIFFERENCES_MAX = 1000
_RESULTS: dict[str, Result] = {
    "applied": "matched",
    "deduped": "matched",
    "skipped": "not_matched",
    "failed": "failed",
}
_NOTES: dict[replays.Verdict, str] = {
    "not_applied": "not applied yet",
    "first": "the first run that was applied: there is nothing to compare it with",
}


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule said in one of the two runs."""

    version: int
    result: Result


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A rule on which the runs differ. version: another version was evaluated; result: the same one
    said something else; actions: it matched both times and had other things sent.
    """

    rule_id: UUID
    name: str
    first: Side | None
    this: Side | None
    why: Why


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict over all rules, with what differs."""

    verdict: replays.Verdict
    first_replay: int | None
    rules: int
    differences: list[Difference]
    cut_off: bool
    notes: list[str]


def compare(
    run: replays.RunRow,
    said: list[replay_details.SaidRow],
    deliveries: list[replay_details.DeliveryRow],
    *,
    cut_off: bool,
) -> Comparison:
    if run.verdict in _NOTES:
        note = _NOTES[run.verdict]
        if run.verdict == "not_applied" and run.superseded:
            note = "never applied: a later run took its place"
        return _make(run, verdict=run.verdict, notes=[note])
    first = {row.rule_id: row for row in said if row.replay == run.first_replay}
    this = {row.rule_id: row for row in said if row.replay == run.replay}
    others = _rules_with_other_actions(run, deliveries)
    found: list[Difference] = []
    for rule_id in sorted(first.keys() | this.keys()):
        why = _why(first.get(rule_id), this.get(rule_id), other_actions=rule_id in others)
        if why is not None:
            found.append(_difference(rule_id, first.get(rule_id), this.get(rule_id), why))
    return _make(
        run,
        verdict="diverged" if found or run.verdict == "diverged" else "identical",
        rules=len(first.keys() | this.keys()),
        differences=found,
        cut_off=cut_off,
        notes=_notes(run, list(this.values())),
    )


def _make(
    run: replays.RunRow,
    *,
    verdict: replays.Verdict,
    rules: int = 0,
    differences: list[Difference] | None = None,
    cut_off: bool = False,
    notes: list[str],
) -> Comparison:
    shown = differences or []
    return Comparison(
        verdict=verdict,
        first_replay=run.first_replay,
        rules=rules,
        differences=shown[:DIFFERENCES_MAX],
        cut_off=cut_off or len(shown) > DIFFERENCES_MAX,
        notes=notes,
    )


def _why(
    first: replay_details.SaidRow | None,
    this: replay_details.SaidRow | None,
    *,
    other_actions: bool,
) -> Why | None:
    if first is None:
        return "new"
    if this is None:
        return "missing"
    if first.version != this.version:
        return "version"
    if _RESULTS[first.result] != _RESULTS[this.result]:
        return "result"
    return "actions" if other_actions else None


def _rules_with_other_actions(
    run: replays.RunRow, deliveries: list[replay_details.DeliveryRow]
) -> set[UUID]:
    """Rules of which this run made a delivery that no earlier run had made, or forced only a part
    of what they had made. Only a first run that acted can tell.
    """
    if run.first_replay != 0 or run.effects == "none":
        return set()
    new = {row.rule_id for row in deliveries if row.made and row.repeats_id is None}
    if run.effects != "force":
        return new
    repeated = {row.repeats_id for row in deliveries if row.made}
    return new | {row.rule_id for row in deliveries if not row.made and row.id not in repeated}


def _difference(
    rule_id: UUID,
    first: replay_details.SaidRow | None,
    this: replay_details.SaidRow | None,
    why: Why,
) -> Difference:
    named = this or first
    assert named is not None  # the rule is in one of the runs
    return Difference(
        rule_id=rule_id, name=named.rule_name, first=_side(first), this=_side(this), why=why
    )


def _side(row: replay_details.SaidRow | None) -> Side | None:
    return None if row is None else Side(version=row.version, result=_RESULTS[row.result])


def _notes(run: replays.RunRow, this: list[replay_details.SaidRow]) -> list[str]:
    notes: list[str] = []
    if run.receipt_id is not None:
        notes.append(f"the payload of receipt {run.receipt_id} ran instead of the event's")
    checked_by = {(row.engine, row.engine_version) for row in this}
    for engine, version in sorted(checked_by):
        present = rules.engine_version(cast("port.EngineName", engine))
        if present != version:
            notes.append(f"some versions were checked by {engine} {version}; {present} runs now")
    return notes

"""What applied rules do outside the database, after the commit: kind -> function, a file each.

Nothing here may be needed for a promise: what must survive a crash is a row of the transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from services.consumer import evaluation, facts, records
from services.consumer.actions import log
from services.consumer.queries import batch
from shared import database, telemetry
from shared.rules import actions, port

type Run = Callable[[port.Facts, evaluation.Entry, actions.Action, port.Limits], None]
type Due = list[tuple[records.Event, evaluation.Entry, actions.Action]]

# noop does nothing, and so has no file; deliveries are rows.
RUNS: Mapping[actions.Kind, Run] = {"log": log.run}

_log = telemetry.logger(__name__)


class Runner:
    """Runs the actions of applied events, within a bound per transaction."""

    def __init__(self, *, limits: port.Limits, logs_max: int) -> None:
        self._limits = limits
        self._logs_max = logs_max
        self._dropped = telemetry.counter("oncely.rules.logs_dropped")

    def run(self, conn: batch.Connection, applied: Sequence[records.Event]) -> None:
        """One after the other; what is beyond the bound is counted, not done."""
        due = _due(applied)
        if not due:
            return
        if len(due) > self._logs_max:
            self._dropped.add(len(due) - self._logs_max)
            due = due[: self._logs_max]
        external_ids = _external_ids(conn, due)
        for event, entry, action in due:
            seen = facts.of(event, external_ids.get(event.envelope.event_id))
            RUNS[action.type](seen, entry, action, self._limits)


def _due(applied: Sequence[records.Event]) -> Due:
    """A replay repeats what the first run said only when it is forced to."""
    return [
        (event, execution.entry, action)
        for event in applied
        if event.ruling is not None and (event.instruction is None or event.effects == "force")
        for execution in event.ruling.executions
        if execution.result == "applied" and not execution.entry.shadow
        for action in execution.entry.actions
        if action.type in RUNS
    ]


def _external_ids(conn: batch.Connection, due: Due) -> dict[UUID, str]:
    try:
        return facts.read_external_ids(conn, ((event, action) for event, _, action in due))
    except database.Error as error:
        # The transaction is committed: an action that fails must not have it repeated.
        _log.warning("external ids not read", error=str(error).strip())
        return {}

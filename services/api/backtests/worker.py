"""`python -m services.api.backtests.worker JOB RUNNER`: one backtest, in a process of its own.

Evaluation never holds up the api's event loop, a rule that eats memory takes nobody along, and a
kill at any moment costs one page: runner starts it and gives its job to another.
"""

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from uuid import UUID

from services.api import uuid7
from services.api.queries import backtest_pages as queries
from services.api.rules import comparisons
from services.api.settings import ApiSettings
from shared import database, lifecycle, settings, telemetry
from shared.rules import patterns, port

NICENESS = 10
EXIT_INTERRUPTED = 3
TYPES_MAX = 100_000
PREPARE_SECONDS = 60.0
WRITE_SECONDS = 1.0
PAGE_BYTES_MAX = 8 * 1024 * 1024
PAGE_ROWS_MIN = 50
# The most expensive rules take milliseconds a time: so many of them stay far below the lease.
SLICE_EVENTS = 50

type Page = tuple[str, list[queries.EventTuple]]

_MEBIBYTE = 1024 * 1024
_log = telemetry.logger(__name__)


def main(arguments: list[str]) -> int:
    job_id, runner = arguments
    loaded = settings.load(ApiSettings)
    bound = loaded.backtest_memory_mb * _MEBIBYTE
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    os.nice(NICENESS)
    telemetry.start_logs(
        service="api",
        instance=lifecycle.instance_name(loaded.instance_id),
        log_format=loaded.log_format,
        level=loaded.log_level,
    )
    stop = _Stop()
    try:
        with _connect(loaded) as conn, _connect(loaded) as reading:
            mine = queries.Mine(conn, job_id=UUID(job_id), runner=runner)
            try:
                return _run(loaded, conn, reading, mine, stop)
            except port.Refused as refused:
                mine.end(state="failed", error=f"a version cannot be compiled: {refused}"[:1000])
            except MemoryError:
                mine.end(state="failed", error="it needs more memory than BACKTEST_MEMORY_MB")
    except database.Error as error:
        _log.warning("backtest lost the database", backtest=job_id, error=type(error).__name__)
        return EXIT_INTERRUPTED
    return 0


class _Stop:
    """A signal asks to stop; so does a parent that is gone. Whoever stops goes on elsewhere."""

    def __init__(self) -> None:
        self._asked = False
        self._parent = os.getppid()
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)

    @property
    def asked(self) -> bool:
        return self._asked or os.getppid() != self._parent

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


def _connect(loaded: ApiSettings) -> queries.Conn:
    conn = database.connect(
        loaded.database_dsn, application_name="oncely-backtest", autocommit=True
    )
    queries.configure(conn, statement_seconds=PREPARE_SECONDS)
    return conn


def _run(
    loaded: ApiSettings,
    conn: queries.Conn,
    reading: queries.Conn,
    mine: queries.Mine,
    stop: _Stop,
) -> int:
    _die_unless_heard(2 * PREPARE_SECONDS)
    job = mine.take(seconds=2 * PREPARE_SECONDS)
    if job is None:
        return 0
    began = time.monotonic()
    limits = loaded.rule_limits
    candidate, baseline = _compile(conn, job, limits)
    walk = _prepare(conn, mine, job, [candidate, *([] if baseline is None else [baseline])])
    _die_unless_heard(loaded.backtest_lease_seconds)
    _log.info("backtest runs", backtest=str(job.id), total=walk.total, types=len(walk.types))
    gc.freeze()
    tally = _Tally(mine, loaded)
    outcome = "done"
    for event_type, rows in _ahead(walk.pages(reading, loaded.backtest_page_rows)):
        comparison = comparisons.Comparison(
            candidate, baseline, event_type=event_type, limits=limits
        )
        outcome = _look_at(event_type, rows, comparison, tally, stop)
        if outcome != "done":
            break
    if outcome == "done":
        outcome = tally.write()
    if outcome in {"done", "cancelled"}:
        mine.end(state=outcome)
    seconds = round(time.monotonic() - began, 3)
    _log.info("backtest ends", backtest=str(job.id), outcome=outcome, seconds=seconds)
    return 0 if outcome in {"done", "cancelled"} else EXIT_INTERRUPTED


def _compile(
    conn: queries.Conn, job: queries.Job, limits: port.Limits
) -> tuple[comparisons.Side, comparisons.Side | None]:
    sides = [
        None
        if version_id is None
        else comparisons.make_side(queries.get_version(conn, version_id=version_id), limits)
        for version_id in (job.candidate_id, job.baseline_id)
    ]
    assert sides[0] is not None  # candidate_id is not null
    return sides[0], sides[1]


class _Walk:
    """The events to look at: type by type, each from its oldest id on, from the position on.

    By type and not by id over all types: every statement then reads the events that it gives and
    no others, so a page takes milliseconds however rare the type is.
    """

    def __init__(
        self, job: queries.Job, *, types: list[str], first: UUID, end: UUID, total: int
    ) -> None:
        self.types = types
        self.total = total
        self._job = job
        self._first = UUID(int=max(first.int - 1, 0))
        self._end = end

    def pages(self, conn: queries.Conn, size: int) -> Iterator[Page]:
        resumed_in = self._job.position_type
        for event_type in self.types:
            if resumed_in is not None and event_type < resumed_in:
                continue
            after = self._first
            if event_type == resumed_in and self._job.position_id is not None:
                after = self._job.position_id
            limit = size
            while rows := queries.read_page(
                conn,
                event_type=event_type,
                after=after,
                end=self._end,
                limit=limit,
                bytes_max=PAGE_BYTES_MAX,
            ):
                yield event_type, rows
                after = rows[-1][0]
                # What does not fit into a page is read in vain: ask for little more than fits.
                limit = min(size, max(2 * len(rows), PAGE_ROWS_MIN))


def _prepare(
    conn: queries.Conn, mine: queries.Mine, job: queries.Job, sides: list[comparisons.Side]
) -> _Walk:
    """Find types, bounds and total; a resumed job has its bounds already."""
    wanted = {side.event_type for side in sides}
    types = sorted(wanted)
    if any(pattern.endswith("*") for pattern in wanted):
        present = queries.list_types(conn, types_max=TYPES_MAX)
        types = sorted(
            name for name in present if any(patterns.matches(one, name) for one in wanted)
        )
    end = uuid7.first_of(job.received_before)
    if job.first_id is not None and job.total is not None:
        return _Walk(job, types=types, first=job.first_id, end=end, total=job.total)
    first = UUID(int=0) if job.received_after is None else uuid7.first_of(job.received_after)
    total = queries.count_events(conn, types=types, lowest=first, end=end, limit=job.events_max + 1)
    if total > job.events_max:
        newest = queries.first_of_newest(
            conn, types=types, lowest=first, end=end, count=job.events_max
        )
        first, total = newest or first, job.events_max
    mine.begin(total=total, first_id=first)
    return _Walk(job, types=types, first=first, end=end, total=total)


class _Tally:
    """Counts and examples since the last write, and the place that they are of."""

    def __init__(self, mine: queries.Mine, loaded: ApiSettings) -> None:
        self._mine = mine
        self._rows_max = loaded.backtest_page_rows
        self._examples_max = loaded.backtest_examples_max
        self._lease_seconds = loaded.backtest_lease_seconds
        self._kept = mine.count_examples()
        self._clear()

    @property
    def due(self) -> bool:
        return (
            self._counts["examined"] >= self._rows_max
            or time.monotonic() - self._since > WRITE_SECONDS
        )

    def add(self, event_id: UUID, verdict: comparisons.Verdict | None) -> None:
        counts = self._counts
        counts["examined"] += 1
        if verdict is None:
            counts["not_reconstructed"] += 1
            self._keep("not_reconstructed", event_id, None)
            return
        if verdict.agreed is not None:
            counts[verdict.agreed] += 1
        for number, kind in enumerate(verdict.kinds):
            counts[_COUNTER_OF[kind]] += 1
            self._keep(kind, event_id, verdict.failed[number] if verdict.failed else None)

    def stand_at(self, event_type: str, event_id: UUID) -> None:
        self._place = (event_type, event_id)

    def write(self) -> str:
        """done, cancelled or lost."""
        if self._place is None:
            return "done"
        event_type, event_id = self._place
        cancel = self._mine.advance(
            event_type=event_type,
            event_id=event_id,
            counts=self._counts,
            examples=self._examples,
        )
        self._clear()
        _die_unless_heard(self._lease_seconds)
        if cancel is None:
            return "lost"
        return "cancelled" if cancel else "done"

    def _keep(
        self, kind: comparisons.ExampleKind, event_id: UUID, failed: port.Outcome | None
    ) -> None:
        kept = self._kept.get(kind, 0)
        if kept >= self._examples_max:
            return
        self._kept[kind] = kept + 1
        detail = {}
        if failed is not None:
            detail = {
                "class": failed.error_class,
                "message": failed.message,
                "pointer": failed.pointer,
            }
        self._examples.append(queries.Example(kind=kind, event_id=event_id, detail=detail))

    def _clear(self) -> None:
        self._counts: dict[str, int] = dict.fromkeys(queries.COUNTERS, 0)
        self._examples: list[queries.Example] = []
        self._place: tuple[str, UUID] | None = None
        self._since = time.monotonic()


_COUNTER_OF: dict[comparisons.Kind, str] = {
    "gained": "gained",
    "lost": "lost",
    "changed": "changed",
    "candidate_error": "candidate_errors",
    "baseline_error": "baseline_errors",
}


def _look_at(
    event_type: str,
    rows: list[queries.EventTuple],
    comparison: comparisons.Comparison,
    tally: _Tally,
    stop: _Stop,
) -> str:
    """Compare a page's events; done, cancelled, lost or stopped."""
    last_id = rows[0][0]
    for start in range(0, len(rows), SLICE_EVENTS):
        for event_id, source, external_id, subject, data in rows[start : start + SLICE_EVENTS]:
            verdict = None
            if data is not None:
                facts = port.Facts(
                    event_id=event_id,
                    event_type=event_type,
                    source=source,
                    subject=subject,
                    data=data.encode(),
                    external_id=external_id,
                )
                verdict = comparison.compare(facts)
            tally.add(event_id, verdict)
            last_id = event_id
        tally.stand_at(event_type, last_id)
        outcome = tally.write() if tally.due else "done"
        if outcome != "done":
            return outcome
        if stop.asked:
            tally.write()
            return "stopped"
    return "done"


def _ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages, each read while the one before it is looked at."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, pages, None)
        while (page := coming.result()) is not None:
            coming = pool.submit(next, pages, None)
            yield page


def _die_unless_heard(seconds: float) -> None:
    """Let the kernel end this process, native code or not, unless a page is written in time."""
    signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

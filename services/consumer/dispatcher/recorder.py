"""Records what was learned, many results in one transaction, on a connection of its own.

While one transaction is under way the next results gather. A transaction that breaks half way is
repeated: what it has done already, it finds done. The number of results is bounded by the number of
deliveries in flight, since they count until they are recorded.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

import msgspec

from services.consumer.dispatcher import links, notices, results, schedule
from services.consumer.dispatcher import settings as dispatch_settings
from services.consumer.queries import dispatch, recording
from shared import database, errors, faults, live, telemetry

GATHER_SECONDS = 0.002

type States = dict[tuple[UUID, int], str]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction recorded: the new state by delivery and attempt (`late` where the lease
    was over), dead letters, and the events that are over.
    """

    states: States
    letters: Sequence[live.Item]
    finished: Sequence[recording.Finished]


_log = telemetry.logger(__name__)


class Recorder:
    """Results in; `recorded` is called with those whose transaction is committed."""

    def __init__(
        self,
        loaded: dispatch_settings.DispatchSettings,
        *,
        me: str,
        link: links.Link,
        recorded: Callable[[Sequence[results.Result]], None],
        announcer: live.Announcer,
    ) -> None:
        self._loaded = loaded
        self._me = me
        self._link = link
        self._recorded = recorded
        self._announcer = announcer
        self._schedule = loaded.schedule
        self._arrived: list[results.Result] = []
        self._some = asyncio.Event()
        self._finishing = False
        self._meters = _Meters()

    def add(self, result: results.Result) -> None:
        self._arrived.append(result)
        self._some.set()

    def finish(self) -> None:
        """End when everything that has arrived is recorded."""
        self._finishing = True
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            if not self._finishing:
                await asyncio.sleep(GATHER_SECONDS)
            batch = self._arrived[: self._loaded.record_batch_max]
            del self._arrived[: len(batch)]
            if not self._arrived and not self._finishing:
                self._some.clear()
            if not batch:
                return
            await self._record_all(batch)

    async def _record_all(self, batch: list[results.Result]) -> None:
        """All of them, whatever it takes; one that Postgres refuses is recorded without texts."""
        while True:
            try:
                await self._record_once(batch)
            except database.Error as error:
                if database.kind_of(error) is not database.ErrorKind.DATA:
                    await self._link.recover(error)
                    continue
                await self._narrow_down(batch, error)
            except errors.InjectedFault as error:
                await self._link.recover(error)
                continue
            return

    async def _narrow_down(self, batch: list[results.Result], error: database.Error) -> None:
        if len(batch) > 1:
            await self._record_all(batch[: len(batch) // 2])
            await self._record_all(batch[len(batch) // 2 :])
            return
        bare = results.without_texts(batch[0])
        if bare == batch[0]:
            raise error
        _log.warning("result recorded without texts", delivery=str(bare.id), error=str(error))
        await self._record_all([bare])

    async def _record_once(self, batch: list[results.Result]) -> None:
        if faults.ENABLED:
            faults.hit("dispatcher.after_send_before_record")
        conn = await self._link.connection()
        async with conn.transaction():
            written = await write(conn, batch)
            judged = await self._judge(conn, batch)
            gone = {one.target_id for one in batch if one.answer.gone and one.target_id is not None}
            disabled = gone and await recording.disable_targets(conn, target_ids=gone, me=self._me)
        self._link.succeeded()
        self._meters.count(batch, written.states)
        self._tell(batch, written.states, judged)
        announce(self._announcer, batch, written)
        notices.announce_targets(self._announcer, (name for name, *_ in judged))
        self._announcer.announce("target", "disabled", [(one, None) for one in disabled or ()])
        for target_id in disabled:
            _log.warning("target disabled", target=str(target_id), reason="410 Gone")
        self._recorded(batch)
        if faults.ENABLED:
            faults.hit("dispatcher.after_record_before_next")

    async def _judge(
        self, conn: dispatch.Connection, batch: list[results.Result]
    ) -> list[tuple[str, bool, int]]:
        found = schedule.verdicts(
            ((one.destination, one.kind, one.answer) for one in batch if not one.injected),
            schedule=self._schedule,
        )
        return await recording.judge_destinations(
            conn,
            verdicts=found,
            failures_max=self._loaded.breaker_failures,
            open_seconds=self._loaded.breaker_seconds,
        )

    def _tell(
        self,
        batch: list[results.Result],
        states: States,
        judged: list[tuple[str, bool, int]],
    ) -> None:
        for name, is_open, failures in judged:
            if is_open:
                self._meters.opened.add(1)
                _log.warning("breaker open", destination=name, failures=failures)
        for one in batch:
            state = states.get((one.id, one.attempt_no), "repeated")
            if state == "confirmed":
                continue
            _log.warning(
                "delivery attempt not confirmed",
                delivery=str(one.id),
                attempt=one.attempt_no,
                state=state,
                error_class=one.answer.error_class,
                status=one.answer.status_code,
            )


async def write(conn: dispatch.Connection, batch: Sequence[results.Result]) -> Written:
    """Attempts, states, dead letters and the status of finished events, in the caller's
    transaction.
    """
    rows = await recording.record(conn, columns=results.columns(batch))
    states = {(delivery_id, attempt_no): state for delivery_id, attempt_no, state, _ in rows}
    given_up = [
        one for one in batch if states.get((one.id, one.attempt_no)) in {"failed", "unknown"}
    ]
    letters = results.dead_letter_columns(given_up)
    if given_up:
        await recording.add_dead_letters(conn, columns=letters)
    over = {
        event_id for _, _, state, event_id in rows if state != "pending" and event_id is not None
    }
    finished = await recording.finish_events(conn, event_ids=over) if over else []
    return Written(states=states, letters=notices.letters_of(letters), finished=finished)


def announce(announcer: live.Announcer, batch: Sequence[results.Result], written: Written) -> None:
    """Tell who watches, after the commit."""
    by_state: dict[str, list[live.Item]] = {}
    for one in batch:
        state = written.states.get((one.id, one.attempt_no), "late")
        if state != "late":
            by_state.setdefault(state, []).append((one.id, one.event_type))
    for state, items in by_state.items():
        announcer.announce("delivery", state, items)
    announcer.announce("dead_letter", "open", written.letters)
    notices.announce_events(announcer, written.finished)


class _Meters:
    """Counted after the commit."""

    def __init__(self) -> None:
        self._attempts = telemetry.counter("oncely.deliveries.attempts")
        self._seconds = telemetry.histogram("oncely.deliveries.attempt.duration")
        self._dead_letters = telemetry.counter("oncely.dead_letters.added")
        self.opened = telemetry.counter("oncely.deliveries.breaker.opened")

    def count(self, batch: list[results.Result], states: States) -> None:
        for outcome, rows in Counter(one.answer.outcome for one in batch).items():
            self._attempts.add(rows, {"outcome": outcome})
        given_up = sum(state in {"failed", "unknown"} for state in states.values())
        if given_up:
            self._dead_letters.add(given_up, {"stage": "delivery"})
        for one in batch[:: -(-len(batch) // 20)]:
            if one.answer.phases.total_ms is not None:
                self._seconds.record(one.answer.phases.total_ms / 1000)

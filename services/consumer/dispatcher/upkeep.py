"""Once a second: what a dead or frozen dispatcher left, what is not to be sent any more, what
people asked for, and the numbers of the probes. Every piece is a transaction by itself.
"""

from collections.abc import Sequence

from services.consumer.dispatcher import claims, notices, recorder, results, status
from services.consumer.dispatcher import settings as dispatch_settings
from services.consumer.queries import dispatch, recording, upkeep
from shared import live, telemetry

ROWS_MAX = 500
COUNT_MAX = 10_000
COUNT_EVERY = 5

_log = telemetry.logger(__name__)


class Upkeep:
    """One turn at a time; the loop calls it on its claiming connection."""

    def __init__(
        self,
        loaded: dispatch_settings.DispatchSettings,
        *,
        me: str,
        state: status.Status,
        announcer: live.Announcer,
    ) -> None:
        self._announcer = announcer
        self._me = me
        self._schedule = loaded.schedule
        self._in_flight_max = loaded.destination_in_flight_max
        self._state = state
        self._switched_off = (
            {claims.EMAIL: "EMAIL_MODE is disabled"} if loaded.email_mode == "disabled" else {}
        )
        self._turns = 0
        self._pending = telemetry.gauge("oncely.deliveries.pending")
        self._unknown = telemetry.gauge("oncely.deliveries.unknown")
        self._expired = telemetry.counter("oncely.deliveries.leases.expired")

    async def turn(self, conn: dispatch.Connection) -> bool:
        """Whether there is more of it to do at once."""
        await upkeep.report(conn, name=self._me, confirmed=self._state.confirmed)
        rows = await self._expire(conn) + await self._skip(conn) + await self._answer(conn)
        if self._turns % COUNT_EVERY == 0:
            await self._count(conn)
        self._turns += 1
        return rows >= ROWS_MAX

    async def _expire(self, conn: dispatch.Connection) -> int:
        """Attempts that nobody recorded become unknown, and their deliveries are due again."""
        async with conn.transaction():
            rows = await upkeep.take_expired(conn, limit=ROWS_MAX)
            if not rows:
                return 0
            found = [
                results.of_expired(
                    row,
                    fate=self._schedule.after_expiry(
                        attempt_no=row.attempt_no, schedule_from=row.schedule_from
                    ),
                )
                for row in rows
            ]
            written = await recorder.write(conn, found)
        recorder.announce(self._announcer, found, written)
        self._expired.add(len(rows))
        for row in rows:
            _log.warning(
                "lease expired",
                delivery=str(row.id),
                attempt=row.attempt_no,
                dispatcher=row.leased_by,
            )
        return len(rows)

    async def _skip(self, conn: dispatch.Connection) -> int:
        async with conn.transaction():
            rows = await upkeep.skip_due(conn, switched_off=self._switched_off, limit=ROWS_MAX)
            unknown = [row for row in rows if row.state == "unknown"]
            letters = results.dead_letters_of_unknown(unknown)
            finished: Sequence[recording.Finished] = ()
            if unknown:
                await recording.add_dead_letters(conn, columns=letters)
            if rows:
                event_ids = {row.event_id for row in rows}
                finished = await recording.finish_events(conn, event_ids=event_ids)
        if rows:
            notices.announce_skipped(self._announcer, rows)
            self._announcer.announce("dead_letter", "open", notices.letters_of(letters))
            notices.announce_events(self._announcer, finished)
            _log.info("deliveries skipped", rows=len(rows), unknown=len(unknown))
        return len(rows)

    async def _answer(self, conn: dispatch.Connection) -> int:
        """Dead letters that somebody wants redriven or discarded."""
        async with conn.transaction():
            found = await upkeep.take_requests(conn, limit=ROWS_MAX)
            if not found:
                return 0
            wanted = [one.delivery_id for one in found if one.state == "redrive_requested"]
            redriven = upkeep.Redriven()
            if wanted:
                redriven = await upkeep.redrive(conn, delivery_ids=wanted)
            await upkeep.resolve(conn, request_ids=[one.id for one in found])
        notices.announce_answers(self._announcer, found, redriven)
        _log.info("dead letters answered", redriven=len(wanted), discarded=len(found) - len(wanted))
        return len(found)

    async def _count(self, conn: dispatch.Connection) -> None:
        pending, unknown = await upkeep.count_waiting(conn, limit=COUNT_MAX)
        self._pending.set(pending)
        self._unknown.set(unknown)
        self._state.pending = pending
        self._state.unknown = unknown
        self._state.rests_seconds = await upkeep.oldest_ready_seconds(
            conn, in_flight_max=self._in_flight_max, without=list(self._switched_off)
        )

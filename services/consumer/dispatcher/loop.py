"""Claims, hands over to the senders, and hands what they learned to the recorder; one event loop.

A delivery counts as in flight until its result is committed: that bounds every list in here.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from services.consumer.dispatcher import (
    claims,
    links,
    outgoing,
    recorder,
    results,
    schedule,
    status,
    upkeep,
)
from services.consumer.dispatcher import settings as dispatch_settings
from services.consumer.queries import dispatch
from shared import database, errors, faults, live, telemetry

CLAIM_PAUSE_SECONDS_MAX = 0.02
TOKEN_WAIT_SECONDS_MIN = 0.005
# What a sender that does not keep its own deadline gets on top of it.
OVERTIME_SECONDS = 0.25
LAST_RECORD_SECONDS = 5.0

type Fails = Callable[[dispatch.Claimed], Awaitable[str | None]]
"""Why this attempt must fail (a fault rule), or None."""

_log = telemetry.logger(__name__)


class Loop:
    """Runs until `stop` is called, then drains."""

    def __init__(
        self,
        loaded: dispatch_settings.DispatchSettings,
        *,
        me: str,
        state: status.Status,
        claiming: links.Link,
        recording: links.Link,
        listening: links.Link,
        send: outgoing.Send,
        fails: Fails | None,
        announcer: live.Announcer,
    ) -> None:
        self._announcer = announcer
        self._loaded = loaded
        self._me = me
        self._state = state
        self._claiming = claiming
        self._listening = listening
        self._send = send
        self._fails = fails
        self._schedule = loaded.schedule
        self._claimer = claims.Claimer(loaded, me=me)
        self._outbox = claims.Outbox(loaded)
        self._upkeep = upkeep.Upkeep(loaded, me=me, state=state, announcer=announcer)
        self._upkeep_at = 0.0
        self._recorder = recorder.Recorder(
            loaded, me=me, link=recording, recorded=self._when_recorded, announcer=announcer
        )
        self._held: Counter[str] = Counter()
        self._in_flight = 0
        self._unproven: set[tuple[UUID, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._token_at = 0.0
        self._stopping = False

    def stop(self) -> None:
        """Claim nothing more; what is in flight may finish."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Raises what a task could not mend, after the rest was drained."""
        listener = asyncio.create_task(self._listen(), name="listen")
        recording = asyncio.create_task(self._recorder.run(), name="record")
        claiming = asyncio.create_task(self._claim_until_stopped(), name="claim")
        background = (listener, recording, claiming)
        await asyncio.wait(background, return_when=asyncio.FIRST_COMPLETED)
        self.stop()
        # Not longer than a drain: a server that is frozen must not hold the process.
        await asyncio.wait({claiming}, timeout=self._loaded.drain_seconds)
        await self._drain(recording)
        for task in background:
            task.cancel()
        for ended in await asyncio.gather(*background, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _drain(self, recording: asyncio.Task[None]) -> None:
        """Wait for answers; what is cut off may have arrived, and is recorded as unknown."""
        if self._tasks:
            _log.info("draining", in_flight=len(self._tasks))
            await asyncio.wait(self._tasks, timeout=self._loaded.drain_seconds)
        late = list(self._tasks)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self._recorder.finish()
        await asyncio.wait({recording}, timeout=LAST_RECORD_SECONDS)

    async def _listen(self) -> None:
        while True:
            try:
                conn = await self._listening.connection()
                await dispatch.listen(conn)
                self._listening.succeeded()
                self._wake.set()
                async for _ in conn.notifies():
                    self._wake.set()
            except database.Error as error:
                await self._listening.recover(error)

    async def _claim_until_stopped(self) -> None:
        while not self._stopping:
            self._state.loop.beat()
            self._wake.clear()
            started = time.monotonic()
            try:
                conn = await self._claiming.connection()
                found = await self._turn(conn)
            except (database.Error, errors.InjectedFault) as error:
                await self._claiming.recover(error)
                continue
            self._claiming.succeeded()
            took = time.monotonic() - started
            await self._rest(found, took)

    async def _turn(self, conn: dispatch.Connection) -> claims.Claims | None:
        if time.monotonic() >= self._upkeep_at:
            again = await self._upkeep.turn(conn)
            self._upkeep_at = 0.0 if again else time.monotonic() + self._loaded.upkeep_seconds
        free = self._loaded.delivery_in_flight_max - self._in_flight
        if free <= 0 or self._stopping:
            return None
        # Whoever has not answered lately may take half of the places: nobody else waits for them.
        free_for_unproven = self._loaded.delivery_in_flight_max // 2 - len(self._unproven)
        found = await self._claimer.claim(
            conn, held=self._held, free=free, free_for_unproven=free_for_unproven
        )
        claimed = [(job.claimed.id, job.claimed.event_type) for job in found.jobs]
        self._announcer.announce("delivery", "sending", claimed)
        if found.jobs and faults.ENABLED:
            faults.hit("dispatcher.after_claim")
        for job in found.jobs:
            self._start(job)
        return found

    async def _rest(self, found: claims.Claims | None, took: float) -> None:
        """Until there is news, or a rate lets the next one through, or the poll is due. Looking
        never takes more than half of the time.
        """
        now = time.monotonic()
        if found is not None and found.more_in_seconds is not None:
            wait = min(found.more_in_seconds, self._loaded.dispatch_poll_ms / 1000)
            self._token_at = now + max(wait, TOKEN_WAIT_SECONDS_MIN)
        if not (found is not None and found.more):
            poll = self._loaded.dispatch_poll_ms / 1000
            if now < self._token_at:
                poll = min(poll, self._token_at - now)
            until_upkeep = max(self._upkeep_at - now, 0.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(poll, until_upkeep))
        if not self._stopping:
            await asyncio.sleep(min(took, CLAIM_PAUSE_SECONDS_MAX))

    def _start(self, job: claims.Job) -> None:
        self._in_flight += 1
        self._held[job.claimed.destination] += 1
        if job.unproven:
            self._unproven.add((job.claimed.id, job.claimed.attempt_no))
        self._state.in_flight = self._in_flight
        task = asyncio.create_task(self._deliver(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, job: claims.Job) -> None:
        """From the claim to the recorder, whatever happens in between."""
        claimed = job.claimed
        url: str | None = None
        injected = False
        try:
            out = self._outbox.outgoing_of(job)
            url = out.url if isinstance(out, outgoing.Webhook) else None
            if faults.ENABLED:
                await self._injected(claimed)
            if time.monotonic() > job.send_before:
                answer = _not_sent()
            else:
                answer = results.masked(await self._sent(out), self._outbox.hidden_of(job))
        except claims.Refused as refusal:
            answer = refusal.answer
        except errors.InjectedFault as error:
            injected = True
            answer = _failed("InjectedFault", str(error))
        except asyncio.CancelledError:
            answer = _cut_off()
        except Exception as error:  # noqa: BLE001 a delivery that is never recorded holds its place
            _log.exception("delivery failed unforeseen", delivery=str(claimed.id))
            answer = _failed("DispatcherError", type(error).__name__)
        self._recorder.add(
            results.of_claimed(
                claimed,
                me=self._me,
                url=url,
                answer=answer,
                fate=self._fate_of(answer, claimed),
                injected=injected,
            )
        )

    async def _sent(self, out: outgoing.Outgoing) -> outgoing.Answer:
        """A sender keeps its deadline and raises nothing; if it does not, nobody knows."""
        try:
            async with asyncio.timeout(out.timeout_seconds + OVERTIME_SECONDS):
                return await self._send(out)
        except TimeoutError:
            return _unknown("Timeout", "sent, perhaps, and no answer in time")
        except Exception as error:  # noqa: BLE001 whatever it is, the delivery has an outcome
            _log.exception("sender failed", delivery=str(out.delivery_id))
            return _unknown("SenderBroken", f"{type(error).__name__}: {error}")

    async def _injected(self, claimed: dispatch.Claimed) -> None:
        """Raises InjectedFault."""
        faults.hit("dispatcher.before_send")
        why = await self._fails(claimed) if self._fails is not None else None
        if why is not None:
            raise errors.InjectedFault(why)

    def _fate_of(self, answer: outgoing.Answer, claimed: dispatch.Claimed) -> schedule.Fate:
        if answer.error_class in _AGAIN_NOW:
            return self._schedule.after_expiry(
                attempt_no=claimed.attempt_no, schedule_from=claimed.schedule_from
            )
        return self._schedule.fate_of(
            answer,
            attempt_no=claimed.attempt_no,
            schedule_from=claimed.schedule_from,
            chance=random.random(),  # noqa: S311 jitter, not a secret
        )

    def _when_recorded(self, batch: Sequence[results.Result]) -> None:
        self._state.confirmed += sum(one.answer.outcome == "confirmed" for one in batch)
        for one in batch:
            self._unproven.discard((one.id, one.attempt_no))
            self._held[one.destination] -= 1
            if self._held[one.destination] <= 0:
                del self._held[one.destination]
        self._in_flight -= len(batch)
        self._state.in_flight = self._in_flight
        self._wake.set()


_AGAIN_NOW = ("CutOff", "NotSent")


def _cut_off() -> outgoing.Answer:
    return _unknown("CutOff", "the dispatcher was asked to stop before an answer came")


def _not_sent() -> outgoing.Answer:
    return _failed("NotSent", "the lease was nearly over before it could be sent")


def _unknown(error_class: str, message: str) -> outgoing.Answer:
    return outgoing.Answer(outcome="unknown", error_class=error_class, error_message=message)


def _failed(error_class: str, message: str) -> outgoing.Answer:
    return outgoing.Answer(outcome="failed", error_class=error_class, error_message=message)

"""Runs bulk replays: page by page, each page one transaction with the job's position and counts.

Every api does it. A job belongs to the runner whose name its row holds; the lease is by the
database's clock.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from typing import Literal, override
from uuid import UUID

import msgspec

from services.api import background, calls, database_pool, problems
from services.api.queries import replay_pages
from services.api.queries import replays as queries
from services.api.replays import ranges, runs
from shared import database, errors, faults, live, telemetry

type Conn = database_pool.Conn

PAGE_ROWS_MAX = 500
PAGE_BYTES_MAX = 8 * 1024 * 1024
PAGES_PER_SECOND = 5
WINDOW_ROWS = 5000
STATEMENT_SECONDS = 20.0
_CONNECT_PAUSE_SECONDS = 0.5
_REPEAT_PAUSE_SECONDS = 0.1
_NOWHERE = UUID(int=0)
_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody looks, when a job counts as left alone, how many run side by side."""

    poll_seconds: float
    lease_seconds: float
    jobs_max: int


class Lost(errors.OncelyError):
    """The job is paused, cancelled, or somebody else's."""


class Runner(background.Background):
    """Owns the task that looks, and one task for each job that it runs."""

    def __init__(
        self,
        *,
        resources: calls.Resources,
        instance: str,
        limits: Limits,
        on_commit: Callable[[], None],
    ) -> None:
        super().__init__(name="replays")
        self._resources = resources
        self._instance = instance
        self._limits = limits
        self._on_commit = on_commit
        self._due = asyncio.Event()
        self._running = 0

    def wake(self) -> None:
        """Look now: a job was asked for here."""
        self._due.set()

    @override
    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._due.wait(), self._limits.poll_seconds)
                self._due.clear()
                try:
                    await self._take(group)
                except problems.Problem as problem:
                    _log.warning("replays were not looked for", problem=problem.slug)

    async def _take(self, group: asyncio.TaskGroup) -> None:
        """Claim what waits, as far as there is room for it."""
        while self._running < self._limits.jobs_max:
            runner = f"{self._instance}/{uuid.uuid4()}"
            async with database_pool.connection(self._resources.pool) as conn:
                job = await replay_pages.claim(
                    conn, runner=runner, lease_seconds=self._limits.lease_seconds
                )
            if job is None:
                return
            self._running += 1
            self._resources.announcer.announce("replay_job", "running", [(job.id, None)])
            walk = Walk(job, runner, self._resources, on_commit=self._on_commit)
            group.create_task(self._see_through(walk))

    async def _see_through(self, walk: "Walk") -> None:
        try:
            await walk.run()
        except Exception as error:  # noqa: BLE001 the other jobs go on; this one's lease ends
            _log.error("replay was left", exc_info=error)
        finally:
            self._running -= 1
            self._due.set()


class Walk:
    """One job in the hands of one runner."""

    def __init__(
        self,
        job: replay_pages.Claim,
        runner: str,
        resources: calls.Resources,
        *,
        on_commit: Callable[[], None],
    ) -> None:
        self._job = job
        self._mine = replay_pages.Mine(job_id=job.id, runner=runner)
        self._resources = resources
        self._on_commit = on_commit
        self._counted = job.total is not None
        self._begun: list[live.Item] = []
        self._closed: list[live.Item] = []
        self._next_at = time.monotonic()

    async def run(self) -> None:
        """To the end of the job, or until it is not ours; what stands in its way is tried again."""
        try:
            while not await self._try():
                pass
        except asyncio.CancelledError:
            with contextlib.suppress(problems.Problem):
                async with database_pool.connection(self._resources.pool) as conn:
                    released = await self._mine.release(conn)
                if released:
                    self._tell("queued")
            raise

    async def _try(self) -> bool:
        """Walk on one connection; False when it is worth another try."""
        try:
            asked = ranges.of_json(self._job.filter)
            async with await database.connect_async(
                self._resources.settings.database_dsn,
                application_name="oncely-api-replays",
                autocommit=True,
            ) as conn:
                await replay_pages.configure(conn, statement_seconds=STATEMENT_SECONDS)
                await self._count(conn, asked)
                while not await self._page_again(conn, asked):
                    await self._keep_the_rate()
        except Lost:
            _log.info("replay is not ours any more", replay=str(self._job.id))
        except database.Error as error:
            lost = database.kind_of(error) is database.ErrorKind.CONNECTION
            if lost and error.sqlstate != _CANCELLED:
                _log.warning("replay lost its connection", error=type(error).__name__)
                await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
                return False
            # Too slow at this moment is no reason to give up what is left.
            state = "paused" if error.sqlstate == _CANCELLED else "failed"
            return await self._stop(error, state)
        except Exception as error:  # noqa: BLE001 a job that cannot go on says why
            return await self._stop(error, "failed")
        return True

    async def _page_again(self, conn: Conn, asked: ranges.Range) -> bool:
        """One page, again when somebody else's lock or a fault was in its way; True at the end."""
        try:
            with database_pool.bounded(conn, 2 * STATEMENT_SECONDS):
                async with conn.transaction():
                    done = await self._page(conn, asked)
        except errors.InjectedFault:
            done = False
        except problems.Problem as problem:
            _log.warning("replay waits", replay=str(self._job.id), problem=problem.slug)
            done = False
        except database.Error as error:
            if database.kind_of(error) is not database.ErrorKind.CONFLICT:
                raise
            done = False
        else:
            self._on_commit()
            self._announce("done" if done else "running")
            return done
        await asyncio.sleep(_REPEAT_PAUSE_SECONDS)
        return done

    def _announce(self, state: str) -> None:
        """After the commit of a page: its events, letters that they close, how the job stands."""
        announcer = self._resources.announcer
        announcer.announce("event", "pending", self._begun)
        announcer.announce("dead_letter", "discard_requested", self._closed)
        self._tell(state)

    def _tell(self, state: str) -> None:
        self._resources.announcer.announce("replay_job", state, [(self._job.id, None)])

    async def _keep_the_rate(self) -> None:
        await asyncio.sleep(max(0.0, self._next_at - time.monotonic()))

    async def _page(self, conn: Conn, asked: ranges.Range) -> bool:
        """One page in the caller's transaction; True when the job is done."""
        self._begun, self._closed = [], []
        standing = await self._mine.fence(conn)
        if standing is None:
            raise Lost
        after = standing.position_id or _NOWHERE
        left = self._job.events_max - standing.examined
        last = None
        if left > 0:
            last = await replay_pages.find_window(conn, asked=asked, after=after, size=WINDOW_ROWS)
        if last is None:
            await self._mine.end(conn, state="done")
            return True
        size = min(max(standing.rate_per_second // PAGES_PER_SECOND, 1), PAGE_ROWS_MAX, left)
        ids = await replay_pages.list_page(
            conn,
            asked=asked,
            after=after,
            last=last,
            limit=size,
            bytes_max=PAGE_BYTES_MAX,
        )
        counts = await self._replay(conn, ids)
        # A page that found less than it may hold has looked at the whole window, unless its bytes
        # ended it: then the next page finds the rest.
        position = last if not ids else ids[-1]
        await self._mine.advance(conn, position_id=position, counts=counts)
        await _failpoint("replay.mid_range")
        pause = counts.replayed / standing.rate_per_second
        self._next_at = max(self._next_at + pause, time.monotonic())
        return False

    async def _replay(self, conn: Conn, ids: list[UUID]) -> replay_pages.Counts:
        """Give each event its next run, but for those that cannot have one."""
        if not ids:
            return replay_pages.Counts()
        locked = await queries.lock(conn, ids=ids)
        finished = [event for event in locked if event.status in runs.FINISHED]
        kept = [event for event in finished if not event.expired]
        letters = await queries.find_letters(
            conn, ids=[event.id for event in kept], effects=self._job.effects
        )
        free = [event for event in kept if event.id not in letters]
        version_ids = await self._version_ids(conn, free)
        ready = [event for event in free if version_ids is None or event.id in version_ids]
        if ready:
            request = queries.Request(
                mode=self._job.mode,
                effects=self._job.effects,
                reason=self._job.reason,
                requested_by=self._job.requested_by,
                job_id=self._job.id,
            )
            begun = await runs.begin(conn, self._resources, ready, request, version_ids=version_ids)
            self._begun = [(event.id, event.event_type) for event in ready]
            self._closed = begun.closed
        return replay_pages.Counts(
            examined=len(locked),
            replayed=len(ready),
            skipped_open=len(locked) - len(finished) + len(kept) - len(free),
            skipped_expired=len(finished) - len(kept),
            skipped_unapplied=len(free) - len(ready),
        )

    async def _version_ids(
        self, conn: Conn, events: list[queries.Locked]
    ) -> dict[UUID, list[int]] | None:
        if self._job.version_ids is not None:
            return {event.id: self._job.version_ids for event in events}
        if self._job.mode == "current":
            return None
        return await queries.find_originals(conn, ids=[event.id for event in events])

    async def _count(self, conn: Conn, asked: ranges.Range) -> None:
        """How many events there are; nobody waits for that longer than for one statement."""
        if self._counted:
            return
        self._counted = True
        await self._mine.heartbeat(conn, seconds=STATEMENT_SECONDS)
        try:
            total = await replay_pages.count(conn, asked=asked, events_max=self._job.events_max)
        except database.Error as error:
            if error.sqlstate != _CANCELLED:
                raise
            _log.warning("replay's events were not counted in time", replay=str(self._job.id))
        else:
            await self._mine.set_total(conn, total=total)

    async def _stop(self, error: Exception, state: Literal["failed", "paused"]) -> bool:
        """Say why the job does not go on; True unless even that cannot be said now."""
        _log.error("replay stopped", replay=str(self._job.id), state=state, exc_info=error)
        try:
            async with database_pool.connection(self._resources.pool) as conn:
                text = f"{type(error).__name__}: {error}"[:500]
                await self._mine.end(conn, state=state, error=text)
            self._begun, self._closed = [], []  # the page that it stopped in was rolled back
            self._announce(state)
        except problems.Problem:
            await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
            return False
        return True


async def _failpoint(name: str) -> None:
    if faults.ENABLED:
        # In a thread, because a failpoint may sleep or wait and the event loop must not.
        await asyncio.to_thread(faults.hit, name)


_CANCELLED = "57014"

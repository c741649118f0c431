"""Many requests, one commit: a bounded queue and a few writers, each with its own connection.

A writer takes everything that is queued, runs it as bulk statements in one transaction, commits,
and only then
answers. There is no timer, so an idle server adds nothing. What the statements are is in writes.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Any, assert_never

import msgspec

from services.api import database_pool, jobs, problems
from shared import database, errors, faults, telemetry

type Conn = database.AsyncConnection[tuple[Any, ...]]
type Apply = Callable[[Conn, Sequence[jobs.Job]], Awaitable[list[jobs.Result]]]
type OnCommit = Callable[[Sequence[jobs.Job], Sequence[jobs.Result]], None]

RETRY_AFTER_SECONDS = 1
_RECONNECT_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_log = telemetry.logger(__name__)


class TryAgain(errors.OncelyError):
    """Raised by apply: roll back and run the same batch again."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much may wait, how much one commit holds, how many commits run side by side."""

    queue_max: int
    batch_max: int
    writers: int
    attempts_max: int
    commit_seconds: float


class _Stage(StrEnum):
    """How far a failed transaction was: before its COMMIT nothing of it can exist, after it nobody
    knows.
    """

    BEFORE_COMMIT = "before_commit"
    COMMIT_SENT = "commit_sent"


class _Waiting(msgspec.Struct, frozen=True, eq=False):
    job: jobs.Job
    future: asyncio.Future[jobs.Result]


class Coalescer:
    """Owns the queue and the writers; `submit` is the only way in."""

    def __init__(self, *, dsn: str, limits: Limits, apply: Apply, on_commit: OnCommit) -> None:
        self._dsn = dsn
        self._limits = limits
        self._apply = apply
        self._on_commit = on_commit
        self._queue: deque[_Waiting] = deque()
        self._queued_rows = 0
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._connected = 0
        self._closing = False
        self._batch_size = telemetry.histogram("oncely.coalescer.batch.size")
        self._queue_gauge = telemetry.gauge("oncely.coalescer.queue")
        self._rejected = telemetry.counter("oncely.coalescer.rejected")

    @property
    def connected(self) -> int:
        """How many writers have a connection; none means that writes are answered with 503."""
        return self._connected

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._write_forever(number), name=f"writer-{number}")
            for number in range(self._limits.writers)
        ]

    async def close(self) -> None:
        """Let the writers finish what is queued, then end them. Call after the last request was
        answered.
        """
        self._closing = True
        for waiter in self._idle:
            if not waiter.done():
                waiter.set_result(None)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._limits.commit_seconds)
            for task in late:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def submit(self, job: jobs.Job) -> jobs.Result:
        """Wait for the commit that holds the job. Raises Problem when the job cannot be taken or
        was refused.
        """
        rows = job.row_count
        if not self._connected:
            raise database_pool.away()
        if self._queued_rows and self._queued_rows + rows > self._limits.queue_max:
            self._rejected.add(1)
            raise problems.Problem(
                "queue-full",
                "too many requests wait for a commit; nothing of this one is stored",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        waiting = _Waiting(job, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued_rows += rows
        self._wake()
        result = await waiting.future
        if isinstance(result, problems.Problem):
            raise result
        return result

    def _wake(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def _write_forever(self, number: int) -> None:
        failures = 0
        while not (self._closing and not self._queue):
            try:
                conn = await database.connect_async(
                    self._dsn, application_name=f"oncely-api-writer-{number}"
                )
            except database.Error as error:
                _log.warning("writer cannot connect", writer=number, error=type(error).__name__)
                self._refuse_queued_unless_connected()
                await asyncio.sleep(_RECONNECT_SECONDS[min(failures, len(_RECONNECT_SECONDS) - 1)])
                failures += 1
                if self._closing:
                    return
                continue
            failures = 0
            self._connected += 1
            try:
                await self._write_until_lost(conn)
            finally:
                self._connected -= 1
                with contextlib.suppress(database.Error):
                    await conn.close()

    async def _write_until_lost(self, conn: Conn) -> None:
        """Commit batches until the connection is lost or the queue is closed and empty."""
        while not conn.closed:
            if not self._queue:
                if self._closing:
                    return
                waiter = asyncio.get_running_loop().create_future()
                self._idle.append(waiter)
                await waiter
                continue
            batch = self._take()
            if batch:
                await self._commit(conn, batch)
                self._queue_gauge.set(self._queued_rows)

    def _take(self) -> list[_Waiting]:
        """Everything that is queued, up to the batch size; one job that is larger goes alone."""
        batch: list[_Waiting] = []
        rows = 0
        while self._queue:
            waiting = self._queue[0]
            count = waiting.job.row_count
            if batch and rows + count > self._limits.batch_max:
                break
            self._queue.popleft()
            self._queued_rows -= count
            # A request that ran out of time before its job was begun was told so: nothing is done
            # for it.
            if not waiting.future.done():
                batch.append(waiting)
                rows += count
        return batch

    async def _commit(self, conn: Conn, batch: list[_Waiting]) -> None:
        """Bring a batch to its end: committed and answered, bisected, or refused as a whole."""
        for attempt in range(1, self._limits.attempts_max + 1):
            stage = _Stage.BEFORE_COMMIT
            try:
                await _failpoint("api.before_begin")
                with database_pool.bounded(conn, self._limits.commit_seconds):
                    results = await self._apply(conn, [waiting.job for waiting in batch])
                await _failpoint("api.after_insert_before_commit")
                stage = _Stage.COMMIT_SENT
                with database_pool.bounded(conn, self._limits.commit_seconds):
                    await conn.commit()
                self._on_commit([waiting.job for waiting in batch], results)
                await _failpoint("api.after_commit_before_reply")
            except TryAgain:
                await self._rollback(conn)
            except Exception as error:  # noqa: BLE001 _decide is where every error gets its fate
                await self._rollback(conn)
                if await self._decide(conn, batch, error, stage):
                    return
            else:
                self._batch_size.record(sum(waiting.job.row_count for waiting in batch))
                self._answer(batch, results)
                return
            _log.info("batch is run again", jobs=len(batch), attempt=attempt)
        _refuse(batch, database_pool.away())

    async def _decide(
        self, conn: Conn, batch: list[_Waiting], error: Exception, stage: _Stage
    ) -> bool:
        """The one place that turns an error into a fate. False: run the same batch again."""
        kind = (
            database.kind_of(error)
            if isinstance(error, database.Error)
            else database.ErrorKind.PROGRAM
        )
        # A connection that ended around a COMMIT tells nothing, not even with a SQLSTATE: a server
        # that is shutting down may say so after it has committed. Any other SQLSTATE is the
        # server's word that the transaction failed.
        unknown = stage is _Stage.COMMIT_SENT and (
            kind is database.ErrorKind.CONNECTION or getattr(error, "sqlstate", None) is None
        )
        match kind:
            case _ if unknown:
                _log.error("commit has an unknown outcome", jobs=len(batch), error=repr(error))
                _refuse(batch, database_pool.outcome_unknown())
            case database.ErrorKind.CONFLICT if _lock_timed_out(error) and len(batch) > 1:
                # Somebody holds one job's row: the others need not wait for it again.
                await self._halve(conn, batch)
            case database.ErrorKind.CONFLICT:
                return False
            case database.ErrorKind.CONNECTION:
                _log.warning("batch lost its connection", jobs=len(batch), error=repr(error))
                _refuse(batch, database_pool.away())
            case database.ErrorKind.DATA:
                await self._bisect(conn, batch, error)
            case database.ErrorKind.PROGRAM:
                _log.error("batch failed", jobs=len(batch), exc_info=error)
                _refuse(batch, _internal_error())
            case _:
                assert_never(kind)
        return True

    async def _bisect(self, conn: Conn, batch: list[_Waiting], error: Exception) -> None:
        """Halve until the guilty job is alone, so that only its client hears of it."""
        if len(batch) == 1:
            assert isinstance(error, database.Error)
            _log.warning("job is refused by the schema", constraint=database.constraint_of(error))
            _refuse(batch, database_pool.refused(error))
            return
        await self._halve(conn, batch)

    async def _halve(self, conn: Conn, batch: list[_Waiting]) -> None:
        middle = len(batch) // 2
        for half in (batch[:middle], batch[middle:]):
            await self._commit(conn, half)

    def _answer(self, batch: list[_Waiting], results: list[jobs.Result]) -> None:
        for waiting, result in zip(reversed(batch), reversed(results), strict=True):
            if isinstance(result, jobs.Deferred):
                # First in the queue, in their order: what they waited for is committed now.
                self._queue.appendleft(waiting)
                self._queued_rows += waiting.job.row_count
            elif not waiting.future.done():
                waiting.future.set_result(result)

    async def _rollback(self, conn: Conn) -> None:
        # A connection that cannot roll back is lost, and a lost one is rolled back by the server.
        try:
            with database_pool.bounded(conn, self._limits.commit_seconds):
                await conn.rollback()
        except database.Error:
            await conn.close()

    def _refuse_queued_unless_connected(self) -> None:
        if self._connected:
            return
        queued = list(self._queue)
        self._queue.clear()
        self._queued_rows = 0
        _refuse(queued, database_pool.away())


def _lock_timed_out(error: Exception) -> bool:
    return isinstance(error, database.Error) and error.sqlstate == "55P03"


async def _failpoint(name: str) -> None:
    if faults.ENABLED:
        # In a thread, because a failpoint may sleep or wait and the event loop must not.
        await asyncio.to_thread(faults.hit, name)


def _refuse(batch: list[_Waiting], problem: problems.Problem) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_result(problem)


def _internal_error() -> problems.Problem:
    return problems.Problem("internal-error", "nothing of this request is stored")

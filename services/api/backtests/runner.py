"""Looks for backtests that wait, or whose runner is gone; runs one at a time as a child process.

Every api does it. A job belongs to the runner whose name its row holds; the lease is by the
database's clock.
"""

import asyncio
import contextlib
import sys
import uuid
from typing import override

import msgspec

from services.api import background, database_pool, problems
from services.api.queries import backtests as queries
from shared import live, telemetry

RUNS_MAX = 3
_STOP_SECONDS = 3.0
_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody looks, and when a job counts as left alone."""

    poll_seconds: float
    lease_seconds: float


class Runner(background.Background):
    """Owns the task that looks, and its child."""

    def __init__(
        self,
        *,
        pool: database_pool.Pool,
        instance: str,
        limits: Limits,
        announcer: live.Announcer,
    ) -> None:
        super().__init__(name="backtests")
        self._pool = pool
        self._instance = instance
        self._limits = limits
        self._announcer = announcer
        self._due = asyncio.Event()

    def wake(self) -> None:
        """Look now: a job was asked for here."""
        self._due.set()

    @override
    async def run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), self._limits.poll_seconds)
            self._due.clear()
            try:
                while await self._run_one():
                    pass
            except problems.Problem as problem:
                _log.warning("backtests were not looked for", problem=problem.slug)
            except OSError as error:
                _log.error("backtest could not be started", error=type(error).__name__)

    async def _run_one(self) -> bool:
        """Claim a job and see it to an end of its process; False when there was none."""
        runner = f"{self._instance}/{uuid.uuid4()}"
        async with database_pool.connection(self._pool) as conn:
            job = await queries.claim(conn, runner=runner, lease_seconds=self._limits.lease_seconds)
        if job is None:
            return False
        if job.cancel_requested:
            await self._release(job, runner)
        elif job.runs > RUNS_MAX:
            await self._fail(job, runner)
        else:
            self._announcer.announce("backtest", "running", [(job.id, None)])
            await self._supervise(job, runner)
        # Ended, or given back: the row says which.
        self._announcer.announce("backtest", "changed", [(job.id, None)])
        return True

    async def _supervise(self, job: queries.Claim, runner: str) -> None:
        """A process that ended without ending its job gives it back, whatever ended it."""
        process: asyncio.subprocess.Process | None = None
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.api.backtests.worker", str(job.id), runner
            )
            status = await process.wait()
        except asyncio.CancelledError:
            if process is not None:
                await _stop(process)
            await self._release(job, runner, on_request=True)
            raise
        except OSError:
            await self._release(job, runner)
            raise
        if await self._release(job, runner):
            _log.warning("backtest's process ended early", backtest=str(job.id), status=status)

    async def _release(self, job: queries.Claim, runner: str, *, on_request: bool = False) -> bool:
        async with database_pool.connection(self._pool) as conn:
            return await queries.release(
                conn, backtest_id=job.id, runner=runner, on_request=on_request
            )

    async def _fail(self, job: queries.Claim, runner: str) -> None:
        error = f"its process ended {RUNS_MAX} times without getting a page done"
        async with database_pool.connection(self._pool) as conn:
            await queries.fail(conn, backtest_id=job.id, runner=runner, error=error)
        _log.error("backtest is given up", backtest=str(job.id))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask it to write what it counted; then kill it."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

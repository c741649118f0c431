"""A connection that is made again when it is lost, and what to do after a database error."""

import asyncio
import random

from services.consumer.dispatcher import settings as dispatch_settings
from services.consumer.queries import dispatch
from shared import database, errors, migrations, telemetry

_log = telemetry.logger(__name__)


class Link:
    """One connection of the dispatcher, used by one task."""

    def __init__(self, loaded: dispatch_settings.DispatchSettings, *, name: str) -> None:
        self._loaded = loaded
        self._name = name
        self._conn: dispatch.Connection | None = None
        self._tries = 0
        self.error = "not connected yet"

    async def connection(self) -> dispatch.Connection:
        if self._conn is None or self._conn.closed:
            self._conn = await connect(self._loaded, name=self._name)
            self.error = ""
        return self._conn

    def succeeded(self) -> None:
        self._tries = 0
        self.error = ""

    async def recover(self, error: Exception) -> None:
        """Wait as the error asks, or raise it: then a person must look."""
        self._tries += 1
        if isinstance(error, errors.InjectedFault):
            _log.warning("injected fault", link=self._name)
        elif isinstance(error, database.Error):
            await self._recover_database(error)
        else:
            raise error
        wait = min(0.02 * 2 ** min(self._tries, 10), self._loaded.reconnect_seconds_max)
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 jitter, not a secret

    async def _recover_database(self, error: database.Error) -> None:
        match database.kind_of(error):
            case database.ErrorKind.CONFLICT:
                _log.warning("transaction repeated", link=self._name, error=str(error).strip())
            case database.ErrorKind.CONNECTION:
                self.error = f"away ({type(error).__name__})"
                _log.warning("database away", link=self._name, error=str(error).strip())
                await self.close()
            case database.ErrorKind.DATA | database.ErrorKind.PROGRAM:
                raise error

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()
            self._conn = None


async def connect(loaded: dispatch_settings.DispatchSettings, *, name: str) -> dispatch.Connection:
    """It refuses another schema, also after a reconnect."""
    await asyncio.to_thread(_require_schema, loaded, name)
    conn = await database.connect_async(loaded.database_dsn, application_name=name, autocommit=True)
    try:
        await dispatch.prepare_session(conn)
    except BaseException:
        await conn.close()
        raise
    return conn


def _require_schema(loaded: dispatch_settings.DispatchSettings, name: str) -> None:
    with database.connect(loaded.database_dsn, application_name=name, autocommit=True) as conn:
        migrations.require_current(conn)

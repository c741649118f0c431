"""The event types as this api has them in force: topics and compiled schemas by type.

Its own connection hears of changes and looks at the rulebook's version every second besides, so a
change is in force within a second. Without Postgres the last known settings stay in force.
"""

import asyncio
import contextlib
import time
from typing import Any, override

import jsonschema_rs
import msgspec

from services.api import background, database_pool, problems
from services.api.data_schemas import compiled
from services.api.queries import event_types as queries
from shared import database, telemetry

POLL_SECONDS = 1.0

_START_SECONDS = 5.0
_STATEMENT_SECONDS = 5.0
_RECONNECT_SECONDS = 0.5
_REPORT_SECONDS = 2.0  # readers count as alive for five seconds
_STALE_SECONDS = 10.0
_log = telemetry.logger(__name__)


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """What a type says to the one who accepts an event; unreadable: its schema cannot be used."""

    topic: str
    revision: int
    schema: compiled.DataSchema | None = None
    unreadable: bool = False


class Catalogue(background.Background):
    """Owns the task that keeps it. `find` is one look into a dict."""

    def __init__(self, *, dsn: str, reader: str, topics: list[str]) -> None:
        """topics: what a type may have, the one for all events first."""
        super().__init__(name="type-catalogue")
        self._dsn = dsn
        self._reader = reader
        self._topics = topics
        self._types: dict[str, EventType] | None = None
        self._version = 0
        self._changed = asyncio.Event()  # set and replaced whenever the version moves
        self._looked_at = 0.0
        self._reported_at = 0.0

    async def wait(self) -> None:
        """Return after the first look; without Postgres after five seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await self._changed.wait()

    @property
    def fresh(self) -> bool:
        """Whether a change would have been seen by now."""
        return time.monotonic() - self._looked_at < _STALE_SECONDS

    def find(self, event_type: str) -> EventType | None:
        """A type's settings, or None for the defaults. Raises Problem before the first look:
        an event that nobody could check must not be stored.
        """
        if self._types is None:
            raise database_pool.away()
        return self._types.get(event_type)

    async def reach(self, version: int) -> None:
        """Return when a change is in force here, so that who made it finds it so; after a second
        in any case.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                while self._version < version:
                    await self._changed.wait()

    @override
    async def run(self) -> None:
        while True:
            try:
                conn = await database.connect_async(
                    self._dsn, application_name="oncely-api-types", autocommit=True
                )
                async with conn:
                    await self._watch(conn)
            except database.Error as error:
                _log.warning("event types lost their connection", error=type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _watch(self, conn: database.AsyncConnection[Any]) -> None:
        with database_pool.bounded(conn, _STATEMENT_SECONDS):
            await queries.listen(conn)
        while True:
            await self._look(conn)
            async for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass

    async def _look(self, conn: database.AsyncConnection[Any]) -> None:
        with database_pool.bounded(conn, _STATEMENT_SECONDS):
            version = await queries.read_version(conn)
        changed = self._types is None or version != self._version
        if changed:
            self._types = await self._refreshed(conn)
            self._version = version
            self._changed.set()
            self._changed = asyncio.Event()
        self._looked_at = time.monotonic()
        if changed or self._looked_at - self._reported_at > _REPORT_SECONDS:
            with database_pool.bounded(conn, _STATEMENT_SECONDS):
                await queries.report(conn, reader=self._reader, version=self._version)
            self._reported_at = self._looked_at

    async def _refreshed(self, conn: database.AsyncConnection[Any]) -> dict[str, EventType]:
        """A revision is given once, so what has the same one need not be compiled again."""
        with database_pool.bounded(conn, _STATEMENT_SECONDS):
            listed = await queries.list_in_force(conn)
        before, now = self._types or {}, dict[str, EventType]()
        for row in listed:
            known = before.get(row.event_type)
            if known is None or known.revision != row.revision:
                known = await self._compiled(conn, row)
            now[row.event_type] = known
        return now

    async def _compiled(
        self, conn: database.AsyncConnection[Any], row: queries.Listed
    ) -> EventType:
        topic = row.topic or self._topics[0]
        if topic not in self._topics:
            _log.warning("event type's topic is not in EXTRA_TOPICS", type=row.event_type)
            topic = self._topics[0]
        if not row.has_schema:
            return EventType(topic=topic, revision=row.revision)
        with database_pool.bounded(conn, _STATEMENT_SECONDS):
            text = await queries.get_schema(conn, event_type=row.event_type)
        try:
            schema = None if text is None else compiled.DataSchema(msgspec.json.decode(text))
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            # Saved by a build that took it. Its events are refused rather than stored unchecked.
            _log.error("event type's schema is unreadable", type=row.event_type, exc_info=error)
            return EventType(topic=topic, revision=row.revision, unreadable=True)
        return EventType(topic=topic, revision=row.revision, schema=schema)


def problem_with(
    types: Catalogue, event_type: str, data: bytes, place: str
) -> problems.Problem | None:
    """What breaks the type's schema in an event's data, which stands at `place` of the body."""
    settings = types.find(event_type)
    if settings is None:
        return None
    if settings.unreadable:
        return problems.Problem(
            "data-schema-unreadable",
            "this build cannot read the schema of the event's type; nothing is stored",
            event_type=event_type,
        )
    faults = [] if settings.schema is None else settings.schema.faults(data, place)
    if not faults:
        return None
    return problems.Problem(
        "data-schema-violation",
        "the event's data breaks the schema of its type; nothing is stored: see errors",
        errors=faults,
        event_type=event_type,
        schema_revision=settings.revision,
    )

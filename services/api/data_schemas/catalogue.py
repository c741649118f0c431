"""The event types as this api has them in force: topics and compiled schemas by type.

Its own connection hears of changes and looks at the rulebook's version every second besides, so a
change is in force within a second. Without Postgres the last known settings stay in force.
"""

import time
from typing import override

import jsonschema_rs
import msgspec

from services.api import database_pool, problems, watched
from services.api.data_schemas import compiled
from services.api.queries import event_types as queries
from shared import telemetry

_STATEMENT_SECONDS = 5.0
_REPORT_SECONDS = 2.0  # readers count as alive for five seconds
_log = telemetry.logger(__name__)


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """What a type says to the one who accepts an event; unreadable: its schema cannot be used."""

    topic: str
    revision: int
    schema: compiled.DataSchema | None = None
    unreadable: bool = False


class Catalogue(watched.Watched):
    """Owns the task that keeps it. `find` is one look into a dict."""

    def __init__(self, *, dsn: str, reader: str, topics: list[str]) -> None:
        """topics: what a type may have, the one for all events first."""
        super().__init__(
            name="types",
            dsn=dsn,
            statement_seconds=_STATEMENT_SECONDS,
            listen=queries.listen,
            read_version=queries.read_version,
        )
        self._reader = reader
        self._topics = topics
        self._types: dict[str, EventType] | None = None
        self._reported_at = 0.0

    def find(self, event_type: str) -> EventType | None:
        """A type's settings, or None for the defaults. Raises Problem before the first look:
        an event that nobody could check must not be stored.
        """
        if self._types is None:
            raise database_pool.away()
        return self._types.get(event_type)

    @override
    async def refresh(self, conn: watched.Conn) -> None:
        self._types = await self._refreshed(conn)

    @override
    async def after_look(self, conn: watched.Conn, *, version: int, changed: bool) -> None:
        now = time.monotonic()
        if changed or now - self._reported_at > _REPORT_SECONDS:
            with self._bounded(conn):
                await queries.report(conn, reader=self._reader, version=version)
            self._reported_at = now

    async def _refreshed(self, conn: watched.Conn) -> dict[str, EventType]:
        """A revision is given once, so what has the same one need not be compiled again."""
        with self._bounded(conn):
            listed = await queries.list_in_force(conn)
        before, now = self._types or {}, dict[str, EventType]()
        for row in listed:
            known = before.get(row.event_type)
            if known is None or known.revision != row.revision:
                known = await self._compiled(conn, row)
            now[row.event_type] = known
        return now

    async def _compiled(self, conn: watched.Conn, row: queries.Listed) -> EventType:
        topic = row.topic or self._topics[0]
        if topic not in self._topics:
            _log.warning("event type's topic is not in EXTRA_TOPICS", type=row.event_type)
            topic = self._topics[0]
        if not row.has_schema:
            return EventType(topic=topic, revision=row.revision)
        with self._bounded(conn):
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

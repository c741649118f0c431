"""Event types: data schema, topic, key policy, retries, timeout, retention.

A type needs no entry: without one it has the defaults. An entry belongs to one exact name; patterns
are for rules. What an entry says is in force on every api and consumer within a second.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, put
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import cursors, database_pool, etags, guards, pages, problems
from services.api.data_schemas import compiled as data_schemas
from services.api.queries import event_types as queries
from services.api.queries import rule_changes as change_queries
from services.api.rules import changes as rule_changes
from services.api.settings import ApiSettings

type KeyPolicy = Literal["wait", "pass"]

TYPES_MAX = 2000  # with an entry; each api holds them in memory
NAME_CHARACTERS_MAX = 200
RETRY_LIMIT_MAX = 100
PROCESSING_TIMEOUT_MS_MAX = 3_600_000
RETENTION_DAYS_MAX = 36_500
KEY_POLICIES: tuple[KeyPolicy, ...] = ("wait", "pass")

_ROUTE = "/event-types"
_DEFAULTS_REVISION = 0
# The commands of orders write these, with data of a known shape, and need no check and no detour.
# An event of another source may have such a type too: it goes to the topic for events, unchecked.
ORDER_TYPES = ("order.created", "order.paid", "order.cancelled", "order.refunded")
_FOR_ORDERS = "belongs to orders: the commands write its data, which has no schema or topic to set"
_NIL = UUID(int=0)
# Not a `type` statement: Litestar does not look into those.
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", description="The ETag that you have read; 412 when it is stale."
    ),
]


class EventTypeBody(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a type, whole; what is left out has its default."""

    key_policy: Annotated[
        KeyPolicy,
        msgspec.Meta(
            description="wait: events behind one that failed for good, of the same key, wait."
        ),
    ] = "wait"
    retry_limit: Annotated[int, msgspec.Meta(ge=0, le=RETRY_LIMIT_MAX)] = 10
    processing_timeout_ms: Annotated[int, msgspec.Meta(ge=1, le=PROCESSING_TIMEOUT_MS_MAX)] = 60_000
    schema: Annotated[
        Any, msgspec.Meta(description="JSON Schema of data, 2020-12 unless it names another draft.")
    ] = None
    topic: Annotated[
        str | None,
        msgspec.Meta(
            description="One of EXTRA_TOPICS; null: the topic for events. Events of one subject "
            "are in order within a topic, not between two."
        ),
    ] = None
    retention_days: Annotated[
        Annotated[int, msgspec.Meta(ge=1, le=RETENTION_DAYS_MAX)] | None,
        msgspec.Meta(description="Data of finished events is removed after this; null: never."),
    ] = None


class EventTypeListed(msgspec.Struct, frozen=True, kw_only=True):
    """A type and its settings without the schema; seen: events have it."""

    type: str
    defaults: bool
    seen: bool
    key_policy: KeyPolicy
    retry_limit: int
    processing_timeout_ms: int
    has_schema: bool
    topic: str | None
    retention_days: int | None
    revision: int
    created_at: datetime | None
    updated_at: datetime | None


class EventType(EventTypeListed, frozen=True, kw_only=True):
    """A type and its settings; defaults: nobody has set any."""

    schema: msgspec.Raw


class EventTypePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, by name."""

    event_types: list[EventTypeListed]
    next_cursor: str | None


@get("/event-types", tags=["event types"], summary="Event types by name")
async def list_event_types(
    state: State,
    seen: FromQuery[bool] = False,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> EventTypePage:
    """The types that somebody has set; with `seen` also those that events have."""
    place = pages.place(cursor, route=_ROUTE, filters={"seen": "true"} if seen else {})
    # The place in this list is a name, and a cursor has room for it beside its filters.
    after = place.filters.pop("after", "")
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_event_types(
            conn, after=after, seen="seen" in place.filters, limit=limit + 1
        )
    shown = [_listed(row) for row in rows[:limit]]
    next_cursor = None
    if len(rows) > limit:
        filters = {**place.filters, "after": shown[-1].type}
        next_cursor = cursors.encode(cursors.Cursor(_ROUTE, _NIL, filters))
    return EventTypePage(event_types=shown, next_cursor=next_cursor)


@get(
    "/event-types/{event_type:str}",
    tags=["event types"],
    summary="One type's settings; the defaults when nobody has set any",
)
async def get_event_type(
    event_type: FromPath[str], request: Request[Any, Any, Any], state: State
) -> Response[EventType]:
    name = _read_name(event_type, request)
    async with database_pool.connection(state.pool) as conn:
        return await _respond(conn, name)


@put(
    "/event-types/{event_type:str}",
    tags=["event types"],
    summary="Set a type's settings, whole; in force within a second",
    opt={"body": EventTypeBody},
)
async def put_event_type(
    event_type: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[EventType]:
    """The ETag of a type that nobody has set is "0"."""
    name, by = _read_name(event_type, request), rule_changes.author(request, if_match)
    content = read_content(await rule_changes.read_body(request), name, by.settings)
    async with rule_changes.transaction(state) as conn:
        revision = await queries.raise_rulebook(conn)
        present = await _require_match(conn, name, if_match)
        if present is None and await queries.count_event_types(conn) >= TYPES_MAX:
            raise problems.Problem(
                "too-many-event-types", f"{TYPES_MAX} event types have settings already"
            )
        await queries.put_event_type(conn, event_type=name, content=content, revision=revision)
        await queries.audit(
            conn,
            actor=by.actor,
            action="event_type.set",
            target=name,
            detail={**msgspec.structs.asdict(content), "schema": content.schema is not None},
        )
        answer = await _respond(conn, name)
    await state.resources.types.reach(revision)
    return answer


@delete("/event-types/{event_type:str}", tags=["event types"], summary="Back to the defaults")
async def delete_event_type(
    event_type: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> None:
    """204 also when nobody had set anything."""
    name, by = _read_name(event_type, request), rule_changes.author(request, if_match)
    async with rule_changes.transaction(state) as conn:
        await change_queries.lock_rulebook(conn)
        if await _require_match(conn, name, if_match) is None:
            return
        revision = await queries.raise_rulebook(conn)
        await queries.delete_event_type(conn, event_type=name)
        await queries.audit(
            conn, actor=by.actor, action="event_type.delete", target=name, detail={}
        )
    await state.resources.types.reach(revision)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    list_event_types,
    get_event_type,
    put_event_type,
    delete_event_type,
)


def read_content(body: Any, name: str, settings: ApiSettings) -> queries.Content:
    """Read a body, or raise one Problem that points at everything that is wrong with it."""
    if not isinstance(body, dict):
        raise problems.at("", "must be an object; an empty one sets the defaults")
    members = cast("dict[str, Any]", body)
    given = {key: value for key, value in members.items() if value is not None}
    faults = _unknown(members)
    content = queries.Content(
        key_policy=_choice(given, "key_policy", faults),
        retry_limit=_whole(given, "retry_limit", 0, RETRY_LIMIT_MAX, faults) or 0,
        processing_timeout_ms=_whole(
            given, "processing_timeout_ms", 1, PROCESSING_TIMEOUT_MS_MAX, faults
        )
        or 0,
        schema=_schema(given, faults),
        topic=_topic(given, settings, faults),
        retention_days=_whole(given, "retention_days", 1, RETENTION_DAYS_MAX, faults),
    )
    if name in ORDER_TYPES:
        faults += [_fault(f"/{key}", _FOR_ORDERS) for key in ("schema", "topic") if key in given]
    if faults:
        raise problems.Problem("invalid-request", "nothing was stored: see errors", errors=faults)
    return content


def _unknown(members: dict[str, Any]) -> list[problems.Fault]:
    known = EventTypeBody.__struct_fields__
    return [
        _fault(f"/{guards.escape(key[:200])}", f"is not known here; known: {', '.join(known)}")
        for key in list(members)[:100]
        if key not in known
    ]


def _choice(given: dict[str, Any], key: str, faults: list[problems.Fault]) -> str:
    value = given.get(key, KEY_POLICIES[0])
    if not isinstance(value, str) or value not in KEY_POLICIES:
        faults.append(_fault(f"/{key}", f"must be one of {', '.join(KEY_POLICIES)}"))
    return str(value)


def _whole(
    given: dict[str, Any], key: str, least: int, most: int, faults: list[problems.Fault]
) -> int | None:
    value = given.get(key, getattr(_DEFAULTS, key))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        faults.append(_fault(f"/{key}", f"must be a whole number from {least} to {most}"))
        return None
    return value


def _schema(given: dict[str, Any], faults: list[problems.Fault]) -> str | None:
    if "schema" not in given:
        return None
    faults += [
        _fault(f"/schema{flaw.pointer}", flaw.detail)
        for flaw in data_schemas.check(given["schema"])
    ]
    return msgspec.json.encode(given["schema"]).decode()


def _topic(
    given: dict[str, Any], settings: ApiSettings, faults: list[problems.Fault]
) -> str | None:
    topic = given.get("topic")
    allowed = settings.event_type_topics
    if topic is not None and topic not in allowed:
        detail = f"must be one of {', '.join(allowed)}; the operator adds others by EXTRA_TOPICS"
        faults.append(_fault("/topic", detail))
    return topic


def _fault(pointer: str, detail: str) -> problems.Fault:
    return problems.Fault(pointer=pointer, detail=detail)


async def _require_match(conn: database_pool.Conn, name: str, if_match: str | None) -> int | None:
    present = await queries.find_revision(conn, event_type=name)
    etags.require_match(if_match, revision=present or _DEFAULTS_REVISION)
    return present


async def _respond(conn: database_pool.Conn, name: str) -> Response[EventType]:
    row = await queries.get_event_type(conn, event_type=name)
    schema = msgspec.Raw((row.schema or "null").encode())
    shown = EventType(schema=schema, **msgspec.structs.asdict(_listed(row)))
    return Response(shown, headers={"ETag": etags.make(shown.revision)})


def _listed(row: queries.EventTypeRow) -> EventTypeListed:
    values: dict[str, Any] = msgspec.structs.asdict(row)
    del values["schema"]
    values |= {"type": values.pop("event_type"), "defaults": row.revision is None}
    if row.revision is None:
        values |= {key: getattr(_DEFAULTS, key) for key in _SETTINGS}
        values["revision"] = _DEFAULTS_REVISION
    return EventTypeListed(**values)


def _read_name(text: str, request: Request[Any, Any, Any]) -> str:
    """The type in the path, as POST /events takes it; a slash in it reads otherwise in a path."""
    name = text if text.isascii() else pages.path_segment(request, 2)
    printable = name.isascii() and name.isprintable() and " " not in name
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not printable:
        raise problems.parameter(
            "event_type", f"must have 1 to {NAME_CHARACTERS_MAX} printable ASCII characters"
        )
    if name.endswith("*"):
        raise problems.parameter("event_type", "must be one type: patterns are for rules")
    return name


_DEFAULTS = EventTypeBody()
_SETTINGS = ("key_policy", "retry_limit", "processing_timeout_ms", "topic", "retention_days")

"""GET /events/export: what a list of events holds, as CSV or NDJSON, page by page.

No connection is held while the client reads, and no page is read before the one before it is
written: a client that does not read costs one page of memory, and is dropped at its bound.
"""

import asyncio
import csv
import functools
import io
from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter
from litestar.response import Stream

from services.api import cursors, database_pool, event_filters, pages, problems, streaming
from services.api.queries import attempts as attempt_queries
from services.api.queries import events as queries
from services.api.settings import ApiSettings
from shared import clock

EXPORTS_MAX = 4
PAGE_ROWS = 500
TOTAL_SECONDS = 900.0
COLUMNS = (
    "id", "source", "external_id", "type", "subject", "status", "received_count", "replay",
    "time", "received_at", "replayed_at", "payload_expired_at", "aggregate_id", "aggregate_seq",
    "traceparent", "data",
)  # fmt: skip
TRUNCATED = "#truncated"

_ROUTE = "/events"
_MEDIA = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
# A spreadsheet would run what begins so; some read the full-width forms as the plain ones.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")

type Format = Literal["csv", "ndjson"]


class Exports:
    """How many are under way in this process."""

    def __init__(self) -> None:
        self.running = 0

    def release(self) -> None:
        self.running -= 1


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    """Rows, and after which id there may be more; null: there is nothing more."""

    rows: list[queries.EventRow]
    last: UUID | None


@get(
    "/events/export",
    tags=["events"],
    summary="Events as a file, newest first",
    dependencies={"filters": Provide(event_filters.read_filters)},
)
async def export_events(
    request: Request[Any, Any, Any],
    filters: NamedDependency[queries.EventFilters],
    state: State,
    export_format: Annotated[Format, QueryParameter(name="format")] = "csv",
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
) -> Stream:
    """The filters and cursors are those of GET /events. After EXPORT_ROWS_MAX rows the file ends
    with a line that says so: `{"truncated": true, "next_cursor": ...}` in NDJSON, a row whose first
    cell is `#truncated` and whose second is the cursor in CSV. A file that ends without its last
    chunk was cut off. In CSV every cell is quoted, and what a spreadsheet would run (= + - @,
    also full-width, tab) begins with an apostrophe.
    """
    settings: ApiSettings = state.resources.settings
    exports: Exports = state.exports
    if exports.running >= EXPORTS_MAX:
        raise problems.Problem(
            "queue-full", f"{EXPORTS_MAX} exports are under way", retry_after_seconds=5
        )
    scope: Any = request.scope
    bound: streaming.Streaming = scope["streaming"]
    exports.running += 1
    bound.at_end(exports.release)
    place = pages.place(cursor, route=_ROUTE, filters=msgspec.to_builtins(filters))
    source = _Source(state.pool, place, rows_max=settings.export_rows_max)
    # The first page is read before the answer begins, so that its errors are answers.
    first = await source.read(place.after)
    # As long as a whole other answer may take, for each page.
    extend = functools.partial(_extend, bound, settings.request_seconds)
    name = f"events-{clock.now():%Y%m%dT%H%M%SZ}.{export_format}"
    return Stream(
        _write(source, first, export_format, extend),
        media_type=_MEDIA[export_format],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


class _Source:
    """Reads pages until enough rows were read."""

    def __init__(self, pool: database_pool.Pool, place: pages.Place, *, rows_max: int) -> None:
        self._pool = pool
        self._place = place
        self._filters = msgspec.convert(place.filters, queries.EventFilters)
        self._left = rows_max

    async def read(self, after: UUID | None) -> _Page:
        limit = min(PAGE_ROWS, self._left)
        async with database_pool.connection(self._pool) as conn:
            among = None
            if self._filters.rule_id is not None:
                among = await attempt_queries.list_events_of_rule(
                    conn, rule_id=self._filters.rule_id, after=after, limit=PAGE_ROWS + 1
                )
            rows = await queries.list_events(
                conn, filters=self._filters, after=after, limit=limit + 1, among=among
            )
        last = rows[limit - 1].id if len(rows) > limit else None
        if last is None and among is not None and len(among) > PAGE_ROWS:
            last = among[-1]  # every one of them was looked at, and there may be more
        shown = rows[:limit]
        self._left -= len(shown)
        return _Page(rows=shown, last=last)

    @property
    def is_full(self) -> bool:
        return self._left <= 0

    def cursor(self, last: UUID) -> str:
        return cursors.encode(cursors.Cursor(_ROUTE, last, self._place.filters))


async def _write(
    source: _Source, page: _Page, export_format: Format, extend: Callable[[float], None]
) -> AsyncGenerator[bytes]:
    ends_at = asyncio.get_running_loop().time() + TOTAL_SECONDS
    if export_format == "csv":
        yield _csv([list(COLUMNS)])
    while True:
        extend(ends_at)
        if page.rows:
            yield _encode(page.rows, export_format)
        if page.last is None:
            return
        if source.is_full:
            yield _truncated(source.cursor(page.last), export_format)
            return
        page = await source.read(page.last)


def _extend(bound: streaming.Streaming, page_seconds: float, ends_at: float) -> None:
    bound.extend(min(page_seconds, ends_at - asyncio.get_running_loop().time()))


def _encode(rows: list[queries.EventRow], export_format: Format) -> bytes:
    if export_format == "ndjson":
        return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
    return _csv([[_cell(getattr(row, name)) for name in COLUMNS] for row in rows])


def _truncated(cursor: str, export_format: Format) -> bytes:
    if export_format == "ndjson":
        return msgspec.json.encode({"truncated": True, "next_cursor": cursor}) + b"\n"
    return _csv([[TRUNCATED, cursor, *[""] * (len(COLUMNS) - 2)]])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, msgspec.Raw):
        text = bytes(value).decode()
    else:
        text = str(msgspec.to_builtins(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(lines: list[list[str]]) -> bytes:
    buffer = io.StringIO()
    # All are quoted: a reader that splits at other characters than commas gets whole cells too.
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows(lines)
    return buffer.getvalue().encode()

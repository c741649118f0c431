"""Counts of the newest events that match, by status, type and source."""

from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api import uuid7
from services.api.queries import events
from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

LOOKED_AT_MAX = 5000
SEARCHED_MAX = 20_000
VALUES_MAX = 20
# An id is drawn by an api's clock, received_at by the database's: how far they may lie apart.
_CLOCKS_APART = timedelta(hours=1)


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the events that were looked at have it."""

    value: str
    count: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one look: matched ends at LOOKED_AT_MAX; exact: no event that matches was left out."""

    matched: int
    exact: bool
    status: list[Value]
    type: list[Value]
    source: list[Value]


_CONDITIONS: dict[str, LiteralString] = {
    "type": " and event_type = %(type)s",
    "source": " and source = %(source)s",
    "subject": " and subject = %(subject)s",
    "external_id": " and external_id = %(external_id)s",
    "received_after": " and received_at >= %(received_after)s and id >= %(first_id)s",
    "received_before": " and received_at < %(received_before)s and id < %(last_id)s",
}

# A read of the newest events; what it costs is bounded by how many it looks at. A text is looked
# for in the newest SEARCHED_MAX of the others, because no index helps.
_HEAD: LiteralString = """
with newest as materialized (
  select id, status, event_type, source, external_id, subject
  from events
  where true"""
_MIDDLE: LiteralString = """
  order by id desc
  limit %(searched)s + 1
), matching as (
  select status, event_type, source
  from (
    select status, event_type, source, external_id, subject
    from newest order by id desc limit %(searched)s) n"""
_TAIL: LiteralString = """
  limit %(most)s + 1
), counted as materialized (
  select status, event_type, source from matching limit %(most)s
), grouped as (
  select
    case when grouping(status) = 0 then 'status' when grouping(event_type) = 0 then 'type'
      when grouping(source) = 0 then 'source' else 'all' end as facet,
    coalesce(status, event_type, source, '') as value, count(*) as count
  from counted
  group by grouping sets ((status), (event_type), (source), ())
), ranked as (
  select facet, value, count,
    row_number() over (partition by facet order by count desc, value) as place
  from grouped
)
select facet, value, count,
  (select count(*) from newest) > %(searched)s or (select count(*) from matching) > %(most)s as more
from ranked
where place <= %(values)s
order by facet, place
"""


async def count(
    conn: Conn, *, filters: events.EventFilters, among: list[UUID] | None = None
) -> Counts:
    """rule_id is no column: `among` has its events."""
    parameters: dict[str, Any] = {
        "most": LOOKED_AT_MAX,
        "searched": LOOKED_AT_MAX if filters.q is None else SEARCHED_MAX,
        "values": VALUES_MAX,
        "among": among,
    }
    statement: LiteralString = _HEAD
    if among is not None:
        statement += " and id = any(%(among)s)"
    if filters.status is not None:
        statement += events.STATUSES[filters.status]
    for name, condition in _CONDITIONS.items():
        value = getattr(filters, name)
        if value is not None:
            statement += condition
            parameters[name] = value
    if filters.received_after is not None:
        parameters["first_id"] = uuid7.first_of(_moved(filters.received_after, -_CLOCKS_APART))
    if filters.received_before is not None:
        parameters["last_id"] = uuid7.first_of(_moved(filters.received_before, _CLOCKS_APART))
    statement += _MIDDLE
    if filters.q is not None:
        statement += " where " + events.SEARCH
        parameters["q"] = events.like(filters.q)
    async with conn.cursor() as cursor:
        await cursor.execute(statement + _TAIL, parameters)
        return _read(await cursor.fetchall())


def _moved(moment: datetime, by: timedelta) -> datetime:
    """At the ends of the calendar it stays where it is: no id is from there."""
    try:
        return moment + by
    except OverflowError:
        return moment


def _read(rows: list[tuple[Any, ...]]) -> Counts:
    values: dict[str, list[Value]] = {"status": [], "type": [], "source": [], "all": []}
    for facet, value, number, _ in rows:
        values[facet].append(Value(value=value, count=number))
    return Counts(
        matched=values["all"][0].count if values["all"] else 0,
        exact=not any(more for *_, more in rows),
        status=values["status"],
        type=values["type"],
        source=values["source"],
    )

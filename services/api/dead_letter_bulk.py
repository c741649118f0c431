"""Redrive and discard of all dead letters that a filter finds: one request, one line of the audit
log, carried out by the owners of the stages, oldest first.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast, get_args
from uuid import UUID

import msgspec

from services.api import calls, database_pool, findings, letter_filters, problems, transactions
from services.api.queries import dead_letters as queries
from shared import live

LIMIT_DEFAULT = 1000
LIMIT_MAX = 10_000
COUNTED_MAX = 100_000
STAGES = get_args(queries.Stage)
_REASON_CHARACTERS_MAX = 1000
_TEXTS = {"event_type": 200, "topic": 255, "error_class": 200, "destination": 2100}


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which open dead letters; untyped: those without an event type (true) or those that have one
    (false), not together with event_type; destination is a delivery's, e.g. target/<id>.
    """

    stage: queries.Stage | None = None
    event_type: str | None = None
    untyped: bool | None = None
    topic: str | None = None
    error_class: str | None = None
    event_id: UUID | None = None
    delivery_id: UUID | None = None
    destination: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class BulkRedrive(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The oldest open dead letters of a filter; an empty filter needs `all`."""

    filter: LetterFilter = LetterFilter()
    all: bool = False
    limit: int = LIMIT_DEFAULT
    dry_run: bool = False


class BulkDiscard(BulkRedrive, frozen=True, kw_only=True, omit_defaults=True):
    """The same, with the reason why they are thrown away."""

    reason: str


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """matched: how many open ones the filter had, of which at most 100,000 are counted; the groups
    say what was requested, or would be.
    """

    matched: int
    requested: int
    dry_run: bool
    by_stage: dict[str, int]
    by_error_class: dict[str, int]


async def redrive_many(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    asked = _read_bulk(call.body, with_reason=False)
    return await _request_many(call, resources, asked, state="redrive_requested")


async def discard_many(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    asked = _read_bulk(call.body, with_reason=True)
    return await _request_many(call, resources, asked, state="discard_requested")


COMMANDS = (
    calls.Command(
        method="POST",
        path="/dead-letters/redrive",
        run=redrive_many,
        summary="Ask for another try of all that a filter finds, oldest first",
        tag="dead letters",
        body=BulkRedrive,
        answers={202: Bulk, 200: Bulk},
    ),
    calls.Command(
        method="POST",
        path="/dead-letters/discard",
        run=discard_many,
        summary="Give up all that a filter finds, with a reason",
        tag="dead letters",
        body=BulkDiscard,
        answers={202: Bulk, 200: Bulk},
    ),
)


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk request that was understood."""

    filters: queries.DeadLetterFilters
    limit: int
    dry_run: bool
    reason: str | None


async def _request_many(
    call: calls.Call, resources: calls.Resources, asked: _Asked, *, state: str
) -> calls.Answer:

    async def act(conn: database_pool.Conn) -> tuple[Bulk, Sequence[queries.Requested]]:
        found = await queries.preview(conn, filters=asked.filters, limit=COUNTED_MAX)
        requested: Sequence[queries.Requested] = ()
        if asked.dry_run:
            counts = await queries.preview(conn, filters=asked.filters, limit=asked.limit)
        else:
            counts = requested = await queries.request_many(
                conn, filters=asked.filters, state=state, reason=asked.reason, limit=asked.limit
            )
        bulk = _bulk(found, counts, dry_run=asked.dry_run)
        if bulk.requested:
            detail = {
                "filter": msgspec.to_builtins(asked.filters),
                "requested": bulk.requested,
                "by_stage": bulk.by_stage,
                "by_error_class": bulk.by_error_class,
            }
            await queries.audit(
                conn,
                actor=call.actor,
                action=f"dead_letters.{state}",
                target="dead-letters",
                detail=detail if asked.reason is None else {**detail, "reason": asked.reason},
            )
        return bulk, requested

    bulk, requested = await transactions.run(resources.pool, act)
    letters: list[live.Item] = [(one, each.event_type) for each in requested for one in each.ids]
    resources.announcer.announce("dead_letter", state, letters)
    return calls.json_answer(200 if asked.dry_run else 202, bulk)


def _bulk(
    found: Sequence[queries.Count], counts: Sequence[queries.Count], *, dry_run: bool
) -> Bulk:
    by_stage: dict[str, int] = {}
    by_error_class: dict[str, int] = {}
    for each in counts:
        by_stage[each.stage] = by_stage.get(each.stage, 0) + each.count
        by_error_class[each.error_class] = by_error_class.get(each.error_class, 0) + each.count
    return Bulk(
        matched=sum(each.count for each in found),
        requested=0 if dry_run else sum(by_stage.values()),
        dry_run=dry_run,
        by_stage=by_stage,
        by_error_class=by_error_class,
    )


def _read_bulk(body: bytes, *, with_reason: bool) -> _Asked:
    """Read a body, or raise one Problem that points at everything that is wrong with it."""
    given: Any = msgspec.json.decode(body) if body else {}
    if not isinstance(given, dict):
        raise problems.at("", "must be an object with a filter")
    reader = _Reader(cast("dict[str, Any]", given), with_reason=with_reason)
    asked = _Asked(
        filters=reader.filters(),
        limit=reader.limit(),
        dry_run=reader.switch("dry_run"),
        reason=reader.reason() if with_reason else None,
    )
    if reader.switch("all") is (asked.filters != queries.DeadLetterFilters()):
        reader.wrong("/all", "must be true for all open dead letters, and only without a filter")
    reader.raise_if_wrong("nothing was requested")
    return asked


class _Reader(findings.Findings):
    """Reads members of a bulk request and collects what is wrong."""

    def __init__(self, given: dict[str, Any], *, with_reason: bool) -> None:
        super().__init__()
        self._given = given
        known = ("filter", "all", "limit", "dry_run", *(("reason",) if with_reason else ()))
        self.refuse_unknown(given, known)

    def filters(self) -> queries.DeadLetterFilters:
        value = self._given.get("filter")
        if value is None:
            return queries.DeadLetterFilters()
        if not isinstance(value, dict):
            self.wrong("/filter", "must be an object")
            return queries.DeadLetterFilters()
        given = cast("dict[str, Any]", value)
        self.refuse_unknown(given, LetterFilter.__struct_fields__, "/filter")
        texts = {name: self._text(name, given.get(name), most) for name, most in _TEXTS.items()}
        stage = given.get("stage")
        if stage not in (None, *STAGES):  # a set would refuse to look for a list
            self.wrong("/filter/stage", f"must be one of {', '.join(STAGES)}")
            stage = None
        return queries.DeadLetterFilters(
            stage=stage,
            untyped=self._untyped(given),
            event_id=self._converted("event_id", given.get("event_id"), UUID),
            delivery_id=self._converted("delivery_id", given.get("delivery_id"), UUID),
            created_after=self._moment("created_after", given.get("created_after")),
            created_before=self._moment("created_before", given.get("created_before")),
            **texts,
        )

    def limit(self) -> int:
        value = self._given.get("limit")
        if value is None:
            return LIMIT_DEFAULT
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LIMIT_MAX:
            self.wrong("/limit", f"must be a whole number from 1 to {LIMIT_MAX}")
            return LIMIT_DEFAULT
        return value

    def switch(self, name: str) -> bool:
        value = self._given.get(name)
        if value is not None and not isinstance(value, bool):
            self.wrong(f"/{name}", "must be true or false")
        return value is True

    def reason(self) -> str:
        value = self._given.get("reason")
        if not isinstance(value, str) or not 1 <= len(value) <= _REASON_CHARACTERS_MAX:
            self.wrong("/reason", f"must be a text of 1 to {_REASON_CHARACTERS_MAX} characters")
            return ""
        if not value.isprintable() or value != value.strip():
            self.wrong("/reason", "may hold printable characters only, and no space at either end")
        return value

    def _untyped(self, given: dict[str, Any]) -> bool | None:
        value = given.get("untyped")
        if value is not None and not isinstance(value, bool):
            self.wrong("/filter/untyped", "must be true or false")
            return None
        if value is not None and given.get("event_type") is not None:
            self.wrong("/filter/untyped", letter_filters.UNTYPED_ALONE)
        return value

    def _text(self, name: str, value: Any, most: int) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= most:
            self.wrong(f"/filter/{name}", f"must be a text of 1 to {most} characters")
            return None
        return value

    def _converted[Kind](self, name: str, value: Any, kind: type[Kind]) -> Kind | None:
        try:
            return None if value is None else msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            self.wrong(f"/filter/{name}", str(error)[:200])
            return None

    def _moment(self, name: str, value: Any) -> datetime | None:
        if value is not None and not isinstance(value, str):
            self.wrong(f"/filter/{name}", "must be a text, e.g. 2026-11-22T10:00:00Z")
            return None
        found = self._converted(name, value, datetime)
        if found is not None and found.tzinfo is None:
            self.wrong(f"/filter/{name}", "must say its offset from UTC, e.g. 2026-11-22T10:00:00Z")
        return found

"""Dead letters: list, group and get as reads; redrive and discard as requests that the owner of the
stage carries out (of many at once: dead_letter_bulk).
"""

import base64
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from services.api import (
    calls,
    cursors,
    database_pool,
    guards,
    letter_filters,
    pages,
    problems,
    transactions,
)
from services.api.queries import dead_letters as queries

type LetterState = Literal[
    "open", "redrive_requested", "redriven", "discard_requested", "discarded"
]


COUNTED_MAX = 100_000
GROUPS_MAX = 200


class Discard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a discard: nobody throws something away without saying why."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class Requested(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; the state changes again when the owner of the stage has done it."""

    id: UUID
    state: LetterState


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """Open dead letters by what they have in common, the largest group first; cut_off: there are
    more groups, or more letters than are counted.
    """

    open: int
    groups: list[queries.Group]
    cut_off: bool


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter with its payload."""

    letter: queries.DeadLetterRow
    payload_base64: str | None
    payload_text: str | None


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    dead_letters: list[queries.DeadLetterRow]
    next_cursor: str | None


async def redrive(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    if call.body and guards.decode(call.body, dict[str, msgspec.Raw]):
        raise problems.at("", "redrive takes no fields: send no body or an empty object")
    return await _request(call, resources, state="redrive_requested", reason=None)


async def discard(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    reason = guards.require_printable(guards.decode(call.body, Discard).reason, "/reason")
    return await _request(call, resources, state="discard_requested", reason=reason)


@get(
    "/dead-letters",
    tags=["dead letters"],
    summary="Dead letters, newest first",
    dependencies={"filters": Provide(letter_filters.read_filters)},
)
async def list_dead_letters(
    filters: NamedDependency[queries.DeadLetterFilters],
    state: State,
    letter_state: Annotated[LetterState | None, QueryParameter(name="state")] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> DeadLetterPage:
    asked = msgspec.structs.replace(filters, state=letter_state)
    place = pages.place(cursor, route="/dead-letters", filters=letter_filters.texts(asked))
    kept = msgspec.convert(place.filters, queries.DeadLetterFilters, strict=False)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_dead_letters(
            conn, filters=kept, after=place.after, limit=limit + 1
        )
    shown = rows[:limit]
    next_cursor = (
        cursors.encode(cursors.Cursor("/dead-letters", shown[-1].id, place.filters))
        if len(rows) > limit
        else None
    )
    return DeadLetterPage(dead_letters=shown, next_cursor=next_cursor)


@get(
    "/dead-letters/stats",
    tags=["dead letters"],
    summary="Open dead letters by what they share",
    dependencies={"filters": Provide(letter_filters.read_filters)},
)
async def get_dead_letter_stats(
    filters: NamedDependency[queries.DeadLetterFilters], state: State
) -> Groups:
    """The filters are those of GET /dead-letters, but for the state."""
    async with database_pool.connection(state.pool) as conn:
        groups = await queries.list_groups(
            conn, filters=filters, rows_max=COUNTED_MAX + 1, groups_max=GROUPS_MAX + 1
        )
    shown = groups[:GROUPS_MAX]
    count = sum(group.count for group in groups)
    return Groups(
        open=min(count, COUNTED_MAX),
        groups=shown,
        cut_off=len(groups) > len(shown) or count > COUNTED_MAX,
    )


@get(
    "/dead-letters/{letter_id:str}",
    tags=["dead letters"],
    summary="One dead letter and its payload",
)
async def get_dead_letter(letter_id: FromPath[str], state: State) -> DeadLetter:
    found = _read_id(letter_id)
    async with database_pool.connection(state.pool) as conn:
        row = await queries.get_dead_letter(conn, letter_id=found)
        payload = await queries.get_payload(conn, letter_id=found)
    if row is None:
        raise problems.Problem("not-found", "there is no such dead letter")
    return DeadLetter(
        letter=row,
        payload_base64=None if payload is None else base64.b64encode(payload).decode(),
        payload_text=None if payload is None else _text(payload),
    )


COMMANDS = (
    calls.Command(
        method="POST",
        path="/dead-letters/{letter_id}/redrive",
        run=redrive,
        summary="Ask for another try",
        tag="dead letters",
        body=None,
        answers={202: Requested},
        problems=("not-found", "dead-letter-state"),
    ),
    calls.Command(
        method="POST",
        path="/dead-letters/{letter_id}/discard",
        run=discard,
        summary="Give it up, with a reason",
        tag="dead letters",
        body=Discard,
        answers={202: Requested},
        problems=("not-found", "dead-letter-state"),
    ),
)


async def _request(
    call: calls.Call, resources: calls.Resources, *, state: LetterState, reason: str | None
) -> calls.Answer:
    letter_id = _read_id(call.target_id)

    async def act(conn: database_pool.Conn) -> None:
        asked = await queries.request_resolution(
            conn, letter_id=letter_id, state=state, reason=reason
        )
        if not asked:
            row = await queries.get_dead_letter(conn, letter_id=letter_id)
            if row is None:
                raise problems.Problem("not-found", "there is no such dead letter")
            raise problems.Problem(
                "dead-letter-state", f"the dead letter is {row.state}, not open", state=row.state
            )
        await queries.audit(
            conn,
            actor=call.actor,
            action=f"dead_letter.{state}",
            target=str(letter_id),
            detail={} if reason is None else {"reason": reason},
        )

    await transactions.run(resources.pool, act)
    return calls.json_answer(202, Requested(id=letter_id, state=state))


def _read_id(text: str) -> UUID:
    found = pages.read_uuid(text)
    if found is None:
        raise problems.Problem("not-found", "there is no such dead letter")
    return found


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None

"""What every list and every path id share, and the landing page."""

from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import MediaType, get
from litestar.params import FromPath

from services.api import cursors, problems

_UUID_CHARACTERS = 36
_QUERY_FIELDS_MAX = 20


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page begins, with the filters that its list was begun with."""

    after: UUID | None
    filters: dict[str, str]


def place(cursor: str | None, *, route: str, filters: dict[str, str]) -> Place:
    if cursor is None:
        return Place(after=None, filters=filters)
    found = cursors.decode(cursor, route=route, filters=filters)
    return Place(after=found.after, filters=found.filters)


def read_uuid(text: str) -> UUID | None:
    """A UUID in its usual form; not the braces, URNs and bare digits that UUID() takes too."""
    if len(text) != _UUID_CHARACTERS or not text.isascii():
        return None
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def read_query(query: bytes, *, allowed: frozenset[str]) -> dict[str, str]:
    """The query's parameters, each known, once and readable."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise problems.Problem(
            "malformed-request", "the query is not name=value pairs in percent-encoded UTF-8"
        ) from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise problems.parameter(
                name[:100], f"is not a parameter of this route; known: {known}"
            )
        if name in values:
            raise problems.parameter(name, "appears twice: send it once")
        if not value.isprintable():
            raise problems.parameter(name, "may hold printable characters only")
        values[name] = value
    return values


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def landing() -> str:
    return _LANDING


@get("/problems", tags=["problems"], summary="Every error that this API answers with")
async def list_problems() -> dict[str, problems.Kind]:
    return problems.KINDS


@get("/problems/{slug:str}", tags=["problems"], summary="What one error means and how to mend it")
async def get_problem(slug: FromPath[str]) -> problems.Kind:
    kind = problems.KINDS.get(slug)
    if kind is None:
        raise problems.Problem("not-found", "no error has this name; see /problems")
    return kind


_LANDING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Oncely</title>
<h1>Oncely</h1>
<p>Orders and events over REST. Each one takes effect once:
through crashes, broker kills, duplicates and retries.</p>
<h2>Try it</h2>
<pre>curl -si -H 'Content-Type: application/json' -H 'Idempotency-Key: first-order' \\
  -d '{"customer_id": "customer-7", "currency": "EUR", "amount": 1999}' http://localhost:3000/orders</pre>
<p>Pay it with <code>POST /orders/{id}/pay</code>, then read it again:
<code>settled_at</code> says that its effect is booked.</p>
<h2>Look</h2>
<ul>
  <li><a href="/orders">Orders</a></li>
  <li><a href="/events">Events</a> and their <a href="/events/stats">numbers</a></li>
  <li><a href="/dead-letters">Dead letters</a></li>
  <li><a href="/openapi.json">OpenAPI document</a></li>
  <li><a href="/problems">Errors and what they mean</a></li>
  <li><a href="/health/ready">Readiness</a> and <a href="/metrics">metrics</a></li>
</ul>
</html>
"""

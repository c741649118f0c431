"""What every list and every path id share, and the landing page."""

import base64
import hashlib
import html
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import UUID

import msgspec
from litestar import MediaType, Request, get
from litestar.params import FromPath

from services.api import cursors, problem_kinds, problems

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


def path_segment(request: Request[Any, Any, Any], number: int) -> str:
    """One segment of the path as the client meant it, an encoded slash included."""
    scope: Any = request.scope
    return unquote(scope["raw_path"].split(b"/")[number].decode("ascii"))


def with_offset(
    request: Request[Any, Any, Any], name: str, moment: datetime | None
) -> datetime | None:
    """A parameter that is a moment, as it was read, or the problem that says what it lacks."""
    if moment is None:
        return None
    # A bare number would be read as seconds since 1970, which nobody means.
    is_date = "-" in request.query_params.get(name, "")[1:]
    if moment.tzinfo is None or not is_date:
        raise problems.parameter(name, "must say its offset from UTC, e.g. 2026-11-22T10:00:00Z")
    return moment


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
async def landing(request: Request[Any, Any, Any]) -> str:
    return _LANDING.replace("localhost:3000", html.escape(request.headers.get("host", "")))


@get("/problems", tags=["problems"], summary="Every error that this API answers with")
async def list_problems() -> dict[str, problem_kinds.Kind]:
    return problem_kinds.KINDS


@get("/problems/{slug:str}", tags=["problems"], summary="What one error means and how to mend it")
async def get_problem(slug: FromPath[str]) -> problem_kinds.Kind:
    kind = problem_kinds.KINDS.get(slug)
    if kind is None:
        raise problems.Problem("not-found", "no error has this name; see /problems")
    return kind


STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6675; --paper: #fbfaf7; --card: #fff;
  --line: #e3e0d8; --accent: #0b6e5f }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e6e1; --soft: #a3abb6; --paper: #14181d;
  --card: #1c2229; --line: #2e363f; --accent: #5fd3bd } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 52rem; padding: clamp(1.5rem, 5vw, 4rem) 1.25rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
h1 { margin: 0; font-size: clamp(2rem, 6vw, 3rem); letter-spacing: -0.03em; line-height: 1.1 }
h2 { margin: 2.5rem 0 0.75rem; font-size: 1.1rem }
p { margin: 0.75rem 0 }
.lead { color: var(--soft); font-size: 1.15rem; max-width: 38rem }
pre { margin: 0; padding: 1rem; overflow-x: auto; border: 1px solid var(--line);
  border-radius: 8px; background: var(--card); font: 0.85rem/1.55 ui-monospace, monospace }
code { font-family: ui-monospace, monospace; font-size: 0.9em }
a { color: var(--accent); text-underline-offset: 0.2em }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 0.75rem;
  margin: 0; padding: 0; list-style: none }
li { padding: 0.9rem 1rem; border: 1px solid var(--line); border-radius: 8px;
  background: var(--card) }
.go { display: inline-block; padding: 0.7rem 1.4rem; border-radius: 8px; font-weight: 600;
  background: var(--accent); color: var(--paper); text-decoration: none }
.go:hover { filter: brightness(1.1) }
li span { display: block; color: var(--soft); font-size: 0.875rem }
ol { margin: 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: 0.5rem;
  align-items: center }
ol li { padding: 0.4rem 0.8rem }
ol li:not(:last-child)::after { content: "\\2192"; margin-left: 0.8rem; color: var(--soft) }
"""

STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_LANDING = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Oncely</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Oncely</h1>
<p class="lead">Orders and events over REST. Each one takes effect once: through crashes, broker
kills, duplicates and retries.</p>
<p><a class="go" href="/console/">Open the console</a></p>
<p class="lead">See events go through, live: timelines, rules, deliveries, faults. Without it, all
of this works by the calls below.</p>

<h2>The way of an event</h2>
<ol><li>api</li><li>Postgres outbox</li><li>relay</li><li>Kafka</li><li>consumer</li>
<li>effects</li><li>dispatcher</li><li>webhooks</li></ol>

<h2>Try it</h2>
<pre tabindex="0" aria-label="Create an order">curl -si http://localhost:3000/orders \\
  -H 'Content-Type: application/json' -H 'Idempotency-Key: first-order' \\
  -d '{{"customer_id": "customer-7", "currency": "EUR", "amount": 1999}}'</pre>
<p>Pay it with <code>POST /orders/{{id}}/pay</code>, then read it again: <code>settled_at</code>
says that its effect is booked.</p>

<h2>Look</h2>
<ul>
  <li><a href="/orders">Orders</a><span>newest first</span></li>
  <li><a href="/events">Events</a><span>what was accepted, and its state</span></li>
  <li><a href="/rules">Rules</a><span>what happens when an event arrives</span></li>
  <li><a href="/deliveries">Deliveries</a><span>webhooks and mails, by attempt</span></li>
  <li><a href="/deliveries?state=unknown">Unknown</a><span>may or may not have arrived</span></li>
  <li><a href="/targets">Targets</a><span>receivers, secrets, limits</span></li>
  <li><a href="/replays">Replays</a><span>past events once more</span></li>
  <li><a href="/event-types?seen=true">Event types</a><span>schemas, retries, topics</span></li>
  <li><a href="/events/stats">Numbers</a><span>totals, outbox and consumer lag</span></li>
  <li><a href="/dead-letters">Dead letters</a><span>what no retry will mend</span></li>
  <li><a href="/openapi.json">OpenAPI</a><span>every call; <a
  href="/reference">to read</a></span></li>
  <li><a href="/problems">Errors</a><span>what each means and how to mend it</span></li>
  <li><a href="/health/ready">Readiness</a><span>is work moving?</span></li>
  <li><a href="/metrics">Metrics</a><span>for Prometheus</span></li>
</ul>
</main>
</body>
</html>
"""

"""Idempotency-Key: a client's name for its request, kept with the answer in the transaction of the
effect.
"""

import hashlib
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.params import HeaderParameter

from services.api import database_pool, jobs, problems
from services.api.queries import idempotency as queries

type Conn = database_pool.Conn

_BYTES_MAX = 255
_canonical = msgspec.json.Encoder(order="sorted").encode

# Not a `type` statement: Litestar does not look into those. What it may be is said by read_key.
Header = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Names this request: a retry under it gets the stored answer.",
        schema_extra={"minLength": 1, "maxLength": _BYTES_MAX, "pattern": "^[ -~]+$"},
    ),
]


def read_key(text: str | None, *, scope: str, request: object) -> jobs.IdempotencyKey | None:
    """The key of a call, if it has one; equal requests are equal values, however they were
    written.
    """
    if text is None:
        return None
    if not text or len(text) > _BYTES_MAX or not text.isascii() or not text.isprintable():
        raise problems.header(
            "Idempotency-Key", f"must be 1 to {_BYTES_MAX} printable ASCII characters"
        )
    digest = hashlib.sha256(_canonical(request)).digest()
    return jobs.IdempotencyKey(scope=scope, key=text, request_hash=digest)


async def find(conn: Conn, key: jobs.IdempotencyKey | None) -> jobs.Reply | None:
    """The answer that the key got, in a transaction that keeps everybody else with this key waiting
    until it ends.
    """
    if key is None:
        return None
    await queries.lock(conn, scope=key.scope, key=key.key)
    for stored in await queries.find(conn, keys=[(key.scope, key.key)]):
        return replay(stored, key)
    return None


async def keep(conn: Conn, key: jobs.IdempotencyKey | None, reply: jobs.Reply) -> jobs.Reply:
    """Store the answer, in the same transaction; the answer."""
    if key is not None:
        answer = queries.StoredAnswer(
            scope=key.scope,
            key=key.key,
            request_hash=key.request_hash,
            status_code=reply.status,
            response_body=reply.body,
            location=reply.location,
        )
        kept = await queries.store(conn, answers=[answer])
        assert kept  # the key is locked, and was not there
    return reply


def replay(stored: queries.StoredAnswer, key: jobs.IdempotencyKey) -> jobs.Reply:
    """The stored answer, or the problem that says that it belongs to another request."""
    if stored.request_hash != key.request_hash:
        raise problems.Problem(
            "idempotency-key-reused",
            "this key was used for a request with another body",
            errors=[
                problems.Fault(header="Idempotency-Key", detail="use a new key for a new request")
            ],
        )
    return jobs.Reply(
        status=stored.status_code,
        body=stored.response_body,
        location=stored.location,
        replayed=True,
    )


def respond(reply: jobs.Reply) -> Response[Any]:
    headers = {} if reply.location is None else {"Location": reply.location}
    if reply.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(
        reply.body, status_code=reply.status, media_type="application/json", headers=headers
    )

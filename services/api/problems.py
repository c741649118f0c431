"""Every error that a client can meet, in one table; RFC 9457 answers and the pages that explain
them.
"""

from typing import Any

import msgspec

CONTENT_TYPE = "application/problem+json"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: what `/problems/{slug}` says."""

    status: int
    title: str
    explanation: str


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong: where (pointer, parameter or header) and how to mend it."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The members that every problem has; some kinds add their own (state, stored_hash ...)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


KINDS: dict[str, Kind] = {
    "invalid-request": Kind(
        status=422,
        title="The request says something that is not allowed",
        explanation=(
            "The JSON can be read, but a field is missing, unknown, of the wrong type or out of "
            "range. `errors[].pointer` names the field and `errors[].detail` what it must be."
        ),
    ),
    "malformed-json": Kind(
        status=400,
        title="The body is not JSON that can be trusted",
        explanation=(
            "The body is empty, not UTF-8, not JSON, nested too deeply, has too many members, "
            "names a member twice, or holds a NUL character or a number that would change on its "
            "way."
        ),
    ),
    "malformed-request": Kind(
        status=400,
        title="The request cannot be read",
        explanation=("The request line, a header or the body's length breaks the rules of HTTP."),
    ),
    "unsupported-media-type": Kind(
        status=415,
        title="The content type is not taken here",
        explanation=(
            "Send `Content-Type: application/json` in UTF-8 without content encoding. Events may "
            "also be `application/cloudevents+json`, batches of them "
            "`application/cloudevents-batch+json`."
        ),
    ),
    "body-too-large": Kind(
        status=413,
        title="The body is too large",
        explanation=(
            "A body may have 256 KiB, POST /events/batch 1 MiB, unless the operator set other "
            "limits."
        ),
    ),
    "head-too-large": Kind(
        status=431,
        title="The request has too many or too large headers",
        explanation=(
            "The whole head may have 32 KiB and 64 headers, unless the operator set other limits."
        ),
    ),
    "target-too-long": Kind(
        status=414,
        title="The address is too long",
        explanation="Path and query may have 8,000 characters.",
    ),
    "not-found": Kind(
        status=404,
        title="There is nothing here",
        explanation="No route has this path, or nothing is stored under this id.",
    ),
    "method-not-allowed": Kind(
        status=405,
        title="The method does not fit the path",
        explanation="The `Allow` header names the methods that fit.",
    ),
    "order-exists": Kind(
        status=409,
        title="An order has this id already",
        explanation=(
            "The id that the request chose belongs to a stored order. A retry of the same "
            "creation needs the `Idempotency-Key` of the first try: then the stored answer comes "
            "back."
        ),
    ),
    "order-state": Kind(
        status=409,
        title="The order's state does not allow this",
        explanation=(
            "created can be paid or cancelled, paid can be refunded. `state` names the present one."
        ),
    ),
    "event-id-conflict": Kind(
        status=409,
        title="An event with this id has another payload",
        explanation=(
            "`source` and `id` name one event for ever. The second payload is kept in the event's "
            "receipts and not processed. Send it under its own id if it is another event."
        ),
    ),
    "idempotency-key-reused": Kind(
        status=422,
        title="This Idempotency-Key belongs to another request",
        explanation=("A key names one request with one body. Use a new key for a new request."),
    ),
    "source-reserved": Kind(
        status=422,
        title="This source is reserved",
        explanation=("`oncely:orders` is the source of the events that order commands write."),
    ),
    "data-schema-violation": Kind(
        status=422,
        title="The event's data breaks the schema of its type",
        explanation=(
            "`GET /event-types/{type}` shows the schema. `errors[].pointer` names the place and "
            "`errors[].detail` what it must be, for at most 20 places. The event is not stored; "
            "send it again under the same id when it is mended."
        ),
    ),
    "data-schema-unreadable": Kind(
        status=500,
        title="The schema of the event's type cannot be read",
        explanation=(
            "It was saved by another build of the service, and this one cannot use it. Save it "
            "again with `PUT /event-types/{type}`; until then the type's events are refused."
        ),
    ),
    "too-many-event-types": Kind(
        status=409,
        title="There are too many event types with settings",
        explanation=(
            "A type without settings needs no entry and has the defaults. Delete entries that say "
            "nothing else."
        ),
    ),
    "dead-letter-state": Kind(
        status=409,
        title="The dead letter's state does not allow this",
        explanation=(
            "Only an open dead letter can be redriven or discarded. `state` names the present one."
        ),
    ),
    "rule-exists": Kind(
        status=409,
        title="A rule has this id already",
        explanation=(
            "The id that the request chose belongs to a stored rule with another content. The same "
            "creation again answers 200 with the stored rule; change a rule by PUT or PATCH."
        ),
    ),
    "rule-archived": Kind(
        status=409,
        title="The rule is archived",
        explanation=(
            "An archived rule is kept with its history, is not evaluated and cannot be changed. "
            "POST /rules/{id}/restore takes it back."
        ),
    ),
    "rule-version-state": Kind(
        status=409,
        title="The version's state does not allow this",
        explanation=(
            "A version goes draft, shadow, published, retired; steps may be left out, and a "
            "retired one may be published again. `state` names the present one."
        ),
    ),
    "stale-version": Kind(
        status=412,
        title="It was changed since you read it",
        explanation=(
            "`If-Match` names another revision than the present one, which is in `revision`. Read "
            "it again, put your change on top of what you find, and send that with its ETag."
        ),
    ),
    "too-many-rules": Kind(
        status=409,
        title="There are too many rules",
        explanation=(
            "The number of rules, of versions of one rule, or of live versions with one event type "
            "is at its limit. Archive or retire what nobody needs, or ask the operator to raise "
            "RULES_MAX, RULE_VERSIONS_MAX or RULES_PER_TYPE_MAX."
        ),
    ),
    "backtest-state": Kind(
        status=409,
        title="The backtest is over",
        explanation=(
            "Only a backtest that waits or runs can be cancelled. `state` names the present one."
        ),
    ),
    "payload-expired": Kind(
        status=409,
        title="The event's data is not kept any more",
        explanation=(
            "The retention of its event type has emptied the payload: what a rule would say of it "
            "cannot be reconstructed. Backtests count such events as not_reconstructed."
        ),
    ),
    "origin-not-allowed": Kind(
        status=403,
        title="Browsers may not write from this origin",
        explanation=(
            "The request came from a web page of another origin. The operator can allow one "
            "origin with CORS_ORIGIN."
        ),
    ),
    "queue-full": Kind(
        status=503,
        title="Too many requests are waiting",
        explanation=(
            "The request was not begun and nothing of it is stored. Try again after `Retry-After`."
        ),
    ),
    "database-away": Kind(
        status=503,
        title="The database cannot be reached",
        explanation="Nothing of the request is stored. Try again after `Retry-After`.",
    ),
    "outcome-unknown": Kind(
        status=503,
        title="It is not known whether the request took effect",
        explanation=(
            "The connection was lost, or time ran out, while the commit was under way. Send the "
            "same request again: with its `Idempotency-Key`, its order id or its event id it "
            "takes effect once."
        ),
    ),
    "deadline": Kind(
        status=503,
        title="The request took too long",
        explanation=(
            "The answer was not ready within the request's time. A read can be tried again as it "
            "is."
        ),
    ),
    "body-too-slow": Kind(
        status=408,
        title="The body did not arrive in time",
        explanation="Nothing of the request is stored.",
    ),
    "refused-by-database": Kind(
        status=422,
        title="The database refuses a value",
        explanation=(
            "A value passed the checks of the api but not those of the schema. `constraint` names "
            "the check. Nothing of the request is stored."
        ),
    ),
    "internal-error": Kind(
        status=500,
        title="The service made a mistake",
        explanation=(
            "It is in the service's log under the request's trace id. A retry with the same "
            "`Idempotency-Key`, order id or event id is safe."
        ),
    ),
}


class Problem(Exception):
    """Raise it anywhere below the front; it becomes the answer."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        errors: list[Fault] | None = None,
        retry_after_seconds: int | None = None,
        allow: str | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.errors = errors or []
        self.retry_after_seconds = retry_after_seconds
        self.allow = allow
        self.members = members

    @property
    def status(self) -> int:
        return KINDS[self.slug].status

    def body(self) -> bytes:
        kind = KINDS[self.slug]
        base = ProblemBody(
            type=f"/problems/{self.slug}",
            title=kind.title,
            status=kind.status,
            detail=self.detail,
            errors=self.errors,
        )
        return msgspec.json.encode({**msgspec.to_builtins(base), **self.members})

    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-type", CONTENT_TYPE.encode())]
        if self.retry_after_seconds is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after_seconds))
        if self.allow is not None:
            headers.append((b"allow", self.allow.encode()))
        return headers


def at(pointer: str, detail: str) -> Problem:
    """A readable body with one wrong place in it."""
    return Problem("invalid-request", detail, errors=[Fault(pointer=pointer, detail=detail)])


def header(name: str, detail: str) -> Problem:
    return Problem("invalid-request", detail, errors=[Fault(header=name, detail=detail)])


def parameter(name: str, detail: str) -> Problem:
    return Problem("invalid-request", detail, errors=[Fault(parameter=name, detail=detail)])


def below(problem: Problem, prefix: str) -> Problem:
    """The same problem for a value that is a part of a larger body."""
    errors = [
        Fault(
            pointer=None if fault.pointer is None else prefix + fault.pointer,
            parameter=fault.parameter,
            header=fault.header,
            detail=fault.detail,
        )
        for fault in problem.errors
    ]
    return Problem(problem.slug, problem.detail, errors=errors, **problem.members)

"""What a client is answered when something is wrong: RFC 9457. The kinds are in problem_kinds."""

from typing import Any

import msgspec

from services.api.problem_kinds import KINDS

CONTENT_TYPE = "application/problem+json"


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
        challenge: str | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.errors = errors or []
        self.retry_after_seconds = retry_after_seconds
        self.allow = allow
        self.challenge = challenge
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
        if self.challenge is not None:
            headers.append((b"www-authenticate", self.challenge.encode()))
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

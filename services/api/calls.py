"""One write as the front hands it on, and the answer it gets back."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from services.api import access, coalescer, database_pool, problems
from services.api.data_schemas import catalogue
from services.api.settings import ApiSettings
from shared import live

JSON_HEADER: tuple[bytes, bytes] = (b"content-type", b"application/json")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose body has been read whole and kept within its bound."""

    method: str
    target_id: str
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    caller: access.Caller
    host: str | None

    @property
    def actor(self) -> str:
        """Who acts, for the audit log."""
        return self.caller.actor(self.host)

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the client gets; the front adds what every answer has."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]] = []


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives a request; made once by the app."""

    settings: ApiSettings
    coalescer: coalescer.Coalescer
    pool: database_pool.Pool
    types: catalogue.Catalogue
    announcer: live.Announcer


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table of writes: how the front finds it, and what the OpenAPI document says
    of it.
    """

    method: str
    path: str
    run: Callable[[Call, Resources], Awaitable[Answer]]
    summary: str
    tag: str
    body: type | None
    answers: Mapping[int, type]
    problems: tuple[str, ...] = ()
    idempotent_by_key: bool = False
    media_types: tuple[str, ...] = ("application/json",)
    query: Mapping[str, str] = {}
    large_body: bool = False


def json_answer(
    status: int, value: object, *, location: str | None = None, replayed: bool = False
) -> Answer:
    return raw_answer(status, msgspec.json.encode(value), location=location, replayed=replayed)


def raw_answer(
    status: int, body: bytes, *, location: str | None = None, replayed: bool = False
) -> Answer:
    headers = [JSON_HEADER]
    if location is not None:
        headers.append((b"location", location.encode()))
    if replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return Answer(status=status, body=body, headers=headers)


def problem_answer(problem: problems.Problem) -> Answer:
    return Answer(status=problem.status, body=problem.body(), headers=problem.headers())

"""The three ways to write an event: our own JSON, CloudEvents 1.0 structured, CloudEvents 1.0
binary. Pure.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from services.api import guards, problems
from shared import events

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
SOURCE_DEFAULT = "api"

# The last hours of the year 9999 have no moment in some offsets, and nobody could read the row.
_YEARS = range(1970, 9999)
_NULL = msgspec.Raw(b"null")
_KNOWN = frozenset({"id", "source", "type", "subject", "time", "data"})

type Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
type Type = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=200, pattern=r"^[!-~]+$", examples=["payment.completed"]),
]
type Time = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339 with an offset.")]


class EventBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /events; `data` is kept byte for byte."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=255, examples=["external-id-123"])]
    type: Type
    data: msgspec.Raw
    source: Name = SOURCE_DEFAULT
    subject: Name | None = None
    time: Time | None = None


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A structured CloudEvent. Extension attributes are allowed and not kept."""

    specversion: str
    id: Name
    source: Name
    type: Type
    subject: Name | None = None
    time: Time | None = None
    datacontenttype: str = "application/json"
    data: msgspec.Raw = _NULL
    data_base64: str | None = None


def from_json(body: bytes) -> EventBody:
    return _checked(guards.decode(body, EventBody), "/{}")


def from_structured(body: bytes) -> EventBody:
    event = guards.decode(body, CloudEvent)
    _require_version(event.specversion, "/specversion")
    if not is_json(event.datacontenttype):
        raise problems.at("/datacontenttype", "must be application/json")
    if event.data_base64 is not None:
        raise problems.at("/data_base64", "binary data is not taken: send JSON in data")
    return _checked(
        EventBody(
            id=event.id,
            type=event.type,
            data=event.data,
            source=event.source,
            subject=event.subject,
            time=event.time,
        ),
        "/{}",
    )


def from_binary(headers: Mapping[bytes, bytes], body: bytes) -> EventBody:
    """Attributes in `ce-` headers, percent-encoded; the body is the data."""
    found: dict[str, Any] = {}
    for name in ("id", "source", "type", "subject", "time"):
        value = headers.get(f"ce-{name}".encode())
        if value is not None:
            found[name] = _header_text(f"ce-{name}", value)
    _require_version(headers.get(b"ce-specversion", b"").decode("latin-1"), None)
    if "source" not in found:
        raise problems.header("ce-source", "is missing")
    try:
        event = msgspec.convert({**found, "data": msgspec.Raw(body)}, EventBody)
    except msgspec.ValidationError as error:
        problem = guards.from_validation(error)
        name = (problem.errors[0].pointer or "").lstrip("/")
        raise problems.header(f"ce-{name}" if name else "ce-*", problem.detail) from None
    return _checked(event, None)


def is_json(content_type: str) -> bool:
    media, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().replace('"', "")
    return media.strip() == "application/json" and charset in {"", "charset=utf-8"}


def _checked(event: EventBody, place: str | None) -> EventBody:
    """What a type cannot say. `place` makes pointers of names; without it they are headers."""
    try:
        for name in ("id", "source", "subject"):
            value = getattr(event, name)
            if value is not None:
                guards.require_printable(value, f"/{name}")
        if event.time is not None and event.time.year not in _YEARS:
            raise problems.at("/time", f"must be of the years {_YEARS[0]} to {_YEARS[-1]}")
    except problems.Problem as problem:
        if place is not None:
            raise
        name = (problem.errors[0].pointer or "").lstrip("/")
        raise problems.header(f"ce-{name}", problem.detail) from None
    if event.source == events.ORDER_SOURCE:
        raise problems.Problem(
            "source-reserved",
            f"the source {events.ORDER_SOURCE} belongs to the events of orders",
            errors=[problems.Fault(pointer="/source", detail="choose another source")],
        )
    return event


def _require_version(version: str, pointer: str | None) -> None:
    if version == "1.0":
        return
    if pointer is None:
        raise problems.header("ce-specversion", "must be 1.0")
    raise problems.at(pointer, "must be 1.0")


def _header_text(name: str, value: bytes) -> str:
    try:
        return unquote(value.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise problems.header(name, "must be percent-encoded UTF-8") from None

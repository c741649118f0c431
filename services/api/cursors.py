"""Keyset cursors: the last id of a page and the filters it was asked with, opaque and checked.
Pure.

The checksum finds mistakes and idle forgeries. It need not be secret: a cursor holds nothing that
its bearer
could not ask for in the query, and what it holds is checked again.
"""

import base64
import binascii
import hashlib
from uuid import UUID

import msgspec

from services.api import problems

_CHECKSUM_BYTES = 8
_CHARACTERS_MAX = 4000


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a list goes on, and with which filters."""

    route: str
    after: UUID
    filters: dict[str, str]


def encode(cursor: Cursor) -> str:
    payload = msgspec.msgpack.encode(cursor)
    return base64.urlsafe_b64encode(_checksum(payload) + payload).decode().rstrip("=")


def decode(text: str, *, route: str, filters: dict[str, str]) -> Cursor:
    """Read a cursor back; the filters beside it may repeat those inside it and not differ."""
    cursor = _read(text)
    if cursor is None or cursor.route != route:
        raise problems.parameter("cursor", "is not a cursor that this list gave out")
    if any(cursor.filters.get(name) != value for name, value in filters.items()):
        raise problems.parameter(
            "cursor", "belongs to a list with other filters: leave it out to begin that list"
        )
    return cursor


def _read(text: str) -> Cursor | None:
    if len(text) > _CHARACTERS_MAX or not text.isascii():
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if raw[:_CHECKSUM_BYTES] != _checksum(raw[_CHECKSUM_BYTES:]):
            return None
        return msgspec.msgpack.decode(raw[_CHECKSUM_BYTES:], type=Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES, person=b"oncely-cursor").digest()

"""What a client may ask of a key, read with all flaws at once. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, cast

import msgspec

from services.api import access, guards, problems

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_KNOWN = ("name", "scopes", "expires_at")
_NAME_CHARACTERS_MAX = 200
_FAULTS_MAX = 100


class KeyBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that is to be made; without expires_at it is in force until it is revoked."""

    name: Annotated[str, msgspec.Meta(pattern=f"^{_NAME.pattern}$")]
    scopes: Annotated[list[access.Scope], msgspec.Meta(min_length=1)]
    expires_at: datetime | None = None


def read(body: Any, *, caller: access.Caller, now: datetime) -> KeyBody:
    """Read a body, or raise one Problem that points at everything that is wrong with it."""
    if not isinstance(body, dict):
        raise problems.at("", "must be an object with name and scopes")
    given = cast("dict[str, Any]", body)
    faults = [
        _fault(
            f"/{guards.escape(name[:_NAME_CHARACTERS_MAX])}",
            f"is not known here; known: {', '.join(_KNOWN)}",
        )
        for name in list(given)[:_FAULTS_MAX]
        if name not in _KNOWN
    ]
    name = given.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        faults.append(
            _fault("/name", "must have 1 to 63 characters of a-z, 0-9, dot, dash and underscore")
        )
    scopes = _read_scopes(given.get("scopes"), caller, faults)
    expires_at = _read_moment(given.get("expires_at"), now, faults)
    if faults:
        raise problems.Problem("invalid-request", "no key was made: see errors", errors=faults)
    return KeyBody(name=cast("str", name), scopes=scopes, expires_at=expires_at)


def _read_scopes(
    value: Any, caller: access.Caller, faults: list[problems.Fault]
) -> list[access.Scope]:
    if not isinstance(value, list) or not value:
        faults.append(_fault("/scopes", f"must be some of {', '.join(sorted(access.SCOPES))}"))
        return []
    found: list[access.Scope] = []
    for index, scope in enumerate(cast("list[Any]", value)[:_FAULTS_MAX]):
        if not isinstance(scope, str) or scope not in access.SCOPES:
            known = ", ".join(sorted(access.SCOPES))
            faults.append(_fault(f"/scopes/{index}", f"must be one of {known}"))
        elif scope in found:
            faults.append(_fault(f"/scopes/{index}", "stands there twice: send it once"))
        elif scope not in caller.scopes:
            faults.append(_fault(f"/scopes/{index}", "nobody can give what he has not himself"))
        else:
            found.append(scope)
    return sorted(found)


def _read_moment(value: Any, now: datetime, faults: list[problems.Fault]) -> datetime | None:
    if value is None:
        return None
    try:
        found = msgspec.convert(value, datetime) if isinstance(value, str) else None
        # The last hours of the year 9999 have no moment in UTC.
        found = None if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        found = None
    if found is None or found <= now:
        faults.append(
            _fault(
                "/expires_at",
                "must be a time to come with its offset from UTC, e.g. 2030-01-31T10:00:00Z",
            )
        )
        return None
    return found


def _fault(pointer: str, detail: str) -> problems.Fault:
    return problems.Fault(pointer=pointer, detail=detail)

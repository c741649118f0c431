"""What a client may ask of a backtest, read with all flaws at once. Pure."""

from datetime import UTC, datetime
from typing import Any, Literal, cast

import msgspec

from services.api import findings, problems

EVENTS_MAX_DEFAULT = 1_000_000
_VERSION_MAX = 2**31 - 1
_KNOWN = ("version", "against", "received_after", "received_before", "events_max")


class BacktestBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which version (default: the newest draft, else the one in shadow, else the newest), against
    which (default: the published one; null: nothing), over which events.
    """

    version: int | None = None
    against: int | msgspec.UnsetType | None = msgspec.UNSET
    received_after: datetime | None = None
    received_before: datetime | None = None
    events_max: int = EVENTS_MAX_DEFAULT


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A body that was understood."""

    version: int | None
    against: int | Literal["published", "nothing"]
    received_after: datetime | None
    received_before: datetime | None
    events_max: int


def read(body: Any, *, events_max: int) -> Asked:
    """Read a body, or raise one Problem that points at everything that is wrong with it."""
    if not isinstance(body, dict):
        raise problems.at("", "must be an object; an empty one takes the defaults")
    reader = _Reader(cast("dict[str, Any]", body))
    against = reader.whole("against", _VERSION_MAX)
    after, before = reader.moment("received_after"), reader.moment("received_before")
    if after is not None and before is not None and after >= before:
        reader.wrong("/received_after", "must be before received_before")
    asked = Asked(
        version=reader.whole("version", _VERSION_MAX),
        against=against or ("nothing" if "against" in reader.given else "published"),
        received_after=after,
        received_before=before,
        events_max=reader.whole("events_max", events_max) or min(EVENTS_MAX_DEFAULT, events_max),
    )
    reader.raise_if_wrong("nothing was started")
    return asked


class _Reader(findings.Findings):
    """Reads members and collects what is wrong."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__()
        self.given = given
        self.refuse_unknown(given, _KNOWN)

    def whole(self, name: str, most: int) -> int | None:
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            self.wrong(f"/{name}", f"must be a whole number from 1 to {most}")
            return None
        return value

    def moment(self, name: str) -> datetime | None:
        value = self.given.get(name)
        if value is None:
            return None
        try:
            found = msgspec.convert(value, datetime) if isinstance(value, str) else None
            # The ends of the calendar have no moment in UTC, and the row could not be read back.
            found = None if found is None or found.tzinfo is None else found.astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            found = None
        if found is None:
            self.wrong(
                f"/{name}", "must be a time with its offset from UTC, e.g. 2026-11-22T10:00:00Z"
            )
            return None
        return found

"""Moments as UUIDv7 (RFC 9562): ids are ordered by time, so a range of ids is a range of time."""

from datetime import datetime
from uuid import UUID

_MILLISECONDS_MAX = 2**48 - 1


def first_of(moment: datetime) -> UUID:
    """The lowest id of a moment, rounded up to a millisecond: what lies below it came before."""
    milliseconds = -int(-moment.timestamp() * 1000 // 1)
    return UUID(int=min(max(milliseconds, 0), _MILLISECONDS_MAX) << 80)

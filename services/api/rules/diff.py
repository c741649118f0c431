"""The differences of two JSON values by pointers. Pure, bounded."""

from typing import Any, Literal, cast

import msgspec

from services.api import guards

DIFFERENCES_MAX = 1000


class Difference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place (RFC 6901) and what stands there before and after; what is added has no before."""

    pointer: str
    kind: Literal["changed", "added", "removed"]
    before: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    after: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def compare(before: Any, after: Any) -> tuple[list[Difference], bool]:
    """The differences in the order of the pointers, and whether there are more than are told."""
    found: list[Difference] = []
    _compare(before, after, "", found)
    return found[:DIFFERENCES_MAX], len(found) > DIFFERENCES_MAX


def _compare(before: Any, after: Any, pointer: str, found: list[Difference]) -> None:
    if len(found) > DIFFERENCES_MAX:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        _compare_members(
            cast("dict[str, Any]", before), cast("dict[str, Any]", after), pointer, found
        )
    elif isinstance(before, list) and isinstance(after, list):
        left, right = cast("list[Any]", before), cast("list[Any]", after)
        _compare_members(
            {str(index): item for index, item in enumerate(left)},
            {str(index): item for index, item in enumerate(right)},
            pointer,
            found,
        )
    elif _text(before) != _text(after):
        found.append(
            Difference(pointer=pointer, kind="changed", before=_text(before), after=_text(after))
        )


def _compare_members(
    before: dict[str, Any], after: dict[str, Any], pointer: str, found: list[Difference]
) -> None:
    for name in before | after:
        place = f"{pointer}/{guards.escape(name)}"
        if name not in after:
            found.append(Difference(pointer=place, kind="removed", before=_text(before[name])))
        elif name not in before:
            found.append(Difference(pointer=place, kind="added", after=_text(after[name])))
        else:
            _compare(before[name], after[name], place, found)


def _text(value: Any) -> msgspec.Raw:
    """JSON text tells 1 from true and from 1.0, which Python's == does not."""
    return msgspec.Raw(msgspec.json.encode(value))

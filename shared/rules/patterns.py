"""Which rules look at an event of a type: exact names, and patterns that end in a star. Pure."""

import re
from collections.abc import Iterable

from shared.rules import port

CHARACTERS_MAX = 200

_STAR = "*"
_ANY_BELOW = ".*"
_PRINTABLE = re.compile(r"[!-~]+").fullmatch


def check(pattern: str) -> list[port.Flaw]:
    """What is wrong with the event type of a rule: `payment.completed`, `payment.*` or `*`."""
    message = _flaw(pattern)
    return [] if message is None else [port.Flaw(pointer="", message=message)]


def _flaw(pattern: str) -> str | None:
    if not pattern:
        return "must name an event type: `payment.completed`, a pattern `payment.*`, or `*` for all"
    if len(pattern) > CHARACTERS_MAX:
        return f"has {len(pattern)} characters; at most {CHARACTERS_MAX}"
    if not _PRINTABLE(pattern):
        return "must be printable ASCII without spaces, as event types are"
    name = pattern.removesuffix(_STAR)
    if _STAR in name:
        return "has a `*` that is not its end: write `payment.*` or `*`"
    if pattern.endswith(_STAR) and name and not name.endswith("."):
        return f"ends in a `*` without a dot before it: write `{name}.*`"
    return None


def matches(pattern: str, event_type: str) -> bool:
    """`payment.*` matches payment.completed and payment.card.failed, not payment or payments.x."""
    if pattern in (_STAR, event_type):
        return True
    return pattern.endswith(_ANY_BELOW) and event_type.startswith(pattern[:-1])


def prefixes(patterns: Iterable[str]) -> tuple[str, ...]:
    """What a type may begin with to match one of the patterns, beside those that name it."""
    return tuple(one[:-1] for one in patterns if one == _STAR or one.endswith(_ANY_BELOW))


def candidates(event_type: str) -> list[str]:
    """Every pattern that matches a type, most exact first: one look-up each finds its rules.

    `a.b.c` -> `a.b.c`, `a.b.*`, `a.*`, `*`.
    """
    found = [event_type]
    end = event_type.rfind(".")
    while end >= 0:
        found.append(event_type[: end + 1] + _STAR)
        end = event_type.rfind(".", 0, end)
    found.append(_STAR)
    # A type may itself end in a star; its pattern is then named once.
    return list(dict.fromkeys(found))

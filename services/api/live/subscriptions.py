"""What a watcher wants and may see, and which updates that is. Pure."""

from collections.abc import Iterable, Mapping

import msgspec

from services.api import access
from services.api.live import frames
from shared import live
from shared.rules import patterns

# As the routes of REST have it: nobody hears of what he may not ask for.
SCOPES: Mapping[live.Kind, access.Scope] = {
    "backtest": "rules:read",
    "dead_letter": "events:read",
    "delivery": "deliveries:read",
    "event": "events:read",
    "event_type": "events:read",
    "fault": "faults",
    "replay_job": "events:read",
    "rule": "rules:read",
    "target": "deliveries:read",
}
# Names that a view remembers its answer for; more than that and it forgets them all.
_REMEMBERED_MAX = 2_000


def kinds_for(caller: access.Caller) -> frozenset[live.Kind]:
    return frozenset(kind for kind, scope in SCOPES.items() if scope in caller.scopes)


class View:
    """What one or more watchers see: all with the same subscriptions and rights share it."""

    def __init__(
        self,
        subscriptions: Iterable[frames.LiveSubscription],
        allowed: frozenset[live.Kind],
    ) -> None:
        self._subscriptions = tuple(subscriptions)
        self._wanted = [_Wanted(one) for one in self._subscriptions]
        self._allowed = allowed
        self._known: dict[live.Name, bool] = {}

    @property
    def key(self) -> bytes:
        """Equal for equal views."""
        return msgspec.json.encode((self._subscriptions, sorted(self._allowed)))

    def sees(self, name: live.Name) -> bool:
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            known = self._known[name] = name[0] in self._allowed and any(
                one.matches(name) for one in self._wanted
            )
        return known


class _Wanted:
    """A subscription, made quick to ask: who resumes asks about thousands of names."""

    def __init__(self, one: frames.LiveSubscription) -> None:
        self._one = one
        self._types = frozenset(one.event_types or ())
        self._prefixes = patterns.prefixes(self._types)

    def matches(self, name: live.Name) -> bool:
        kind, status, event_type = name
        return (
            (not self._one.kinds or kind in self._one.kinds)
            and (not self._one.statuses or status in self._one.statuses)
            and (
                not self._types
                or event_type is None
                or event_type in self._types
                or event_type.startswith(self._prefixes)
            )
        )

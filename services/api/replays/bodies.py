"""What a client may ask of replays, read with all flaws at once. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

import msgspec

from services.api import event_filters, findings, guards, pages, problems
from services.api.queries import replays

# Not `type` statements: Litestar does not look into those.
Mode = Literal["current", "original", "pinned"]
Effects = Literal["dedupe", "force", "none"]
Finished = Literal["processed", "failed"]

REASON_CHARACTERS_MAX = 1000
VERSIONS_MAX = 100
EVENT_IDS_MAX = 1000
EVENTS_MAX_DEFAULT = 1_000_000
RATE_DEFAULT = 500
_TEXT_CHARACTERS_MAX = 255
_TYPE_CHARACTERS_MAX = 200
_NAME_CHARACTERS_MAX = 200
_VERSION_MAX = 2**31 - 1
_RECEIPT_MAX = 2**63 - 1
_MODES = ("current", "original", "pinned")
_EFFECTS = ("dedupe", "force", "none")
_ONE = ("mode", "rule_versions", "effects", "receipt", "reason")
_PREVIEW = ("filter", "mode", "rule_versions", "effects", "events_max", "all")
_JOB = (*_PREVIEW, "reason", "rate_per_second")
_FILTER = (
    "type",
    "status",
    "source",
    "subject",
    "external_id",
    "q",
    "rule_id",
    "received_after",
    "received_before",
    "event_ids",
)


class ReplayBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Empty: the rules as they are now, nothing is sent twice. rule_versions (rule id to version)
    goes with mode pinned; receipt is the id of a kept payload; effects force needs a reason.
    """

    mode: Mode = "current"
    rule_versions: dict[str, int] | None = None
    effects: Effects = "dedupe"
    receipt: int | None = None
    reason: str | None = None


class FilterBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which events. q: a text in id at the source, type, subject or source, as in GET /events.
    rule_id: those on which the rule acted or failed. received_before is now when it is left out:
    what arrives later is not touched.
    """

    type: str | None = None
    status: Finished | None = None
    source: str | None = None
    subject: str | None = None
    external_id: str | None = None
    q: str | None = None
    rule_id: UUID | None = None
    received_after: datetime | None = None
    received_before: datetime | None = None
    event_ids: list[UUID] | None = None

    @property
    def narrows(self) -> bool:
        return any(getattr(self, name) is not None for name in _FILTER)


class PreviewBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which events a job would replay, and how."""

    filter: FilterBody
    mode: Mode = "current"
    rule_versions: dict[str, int] | None = None
    effects: Effects = "dedupe"
    events_max: int = EVENTS_MAX_DEFAULT
    all: bool = False


class JobBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same, with why and how fast. An empty filter needs all."""

    filter: FilterBody
    reason: str
    mode: Mode = "current"
    rule_versions: dict[str, int] | None = None
    effects: Effects = "dedupe"
    rate_per_second: int = RATE_DEFAULT
    events_max: int = EVENTS_MAX_DEFAULT
    all: bool = False


class RateBody(msgspec.Struct, frozen=True, kw_only=True):
    """The one thing of a job that can be changed."""

    rate_per_second: int


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that was understood."""

    mode: replays.Mode
    effects: replays.Effects
    rule_versions: dict[UUID, int] | None
    receipt: int | None
    reason: str | None


class AskedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A bulk replay that was understood."""

    filter: FilterBody
    mode: replays.Mode
    effects: replays.Effects
    rule_versions: dict[UUID, int] | None
    reason: str | None
    rate_per_second: int
    events_max: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of a job."""

    rate_default: int
    rate_max: int
    events_max: int


def read_one(body: Any) -> Asked:
    """Read the body of one event's replay, or raise one Problem that points at all its flaws."""
    reader = _Reader(body, known=_ONE)
    mode, effects = reader.mode(), reader.effects()
    asked = Asked(
        mode=mode,
        effects=effects,
        rule_versions=reader.rule_versions(mode),
        receipt=reader.whole("receipt", _RECEIPT_MAX),
        reason=reader.text("reason", REASON_CHARACTERS_MAX),
    )
    if effects == "force" and reader.given.get("reason") is None:
        reader.wrong("/reason", "is required with effects force: say why it is sent again")
    reader.raise_if_wrong("nothing was replayed")
    return asked


def read_job(body: Any, limits: Limits) -> AskedJob:
    return _read_many(_Reader(body, known=_JOB), limits, starts=True)


def read_preview(body: Any, limits: Limits) -> AskedJob:
    return _read_many(_Reader(body, known=_PREVIEW), limits, starts=False)


def read_rate(body: Any, limits: Limits) -> int:
    reader = _Reader(body, known=("rate_per_second",))
    rate = reader.whole("rate_per_second", limits.rate_max)
    if reader.given.get("rate_per_second") is None:
        reader.wrong("/rate_per_second", f"is missing: a whole number from 1 to {limits.rate_max}")
    reader.raise_if_wrong("nothing was changed")
    return rate or 1


def _read_many(reader: "_Reader", limits: Limits, *, starts: bool) -> AskedJob:
    mode, effects = reader.mode(), reader.effects()
    found = reader.filter()
    everything = reader.flag("all")
    if not found.narrows and not everything and not reader.flawed("/filter"):
        reader.wrong("/filter", 'names no events: narrow it, or say "all": true')
    if found.narrows and everything:
        reader.wrong("/all", "goes with an empty filter only")
    asked = AskedJob(
        filter=found,
        mode=mode,
        effects=effects,
        rule_versions=reader.rule_versions(mode),
        reason=reader.text("reason", REASON_CHARACTERS_MAX) if starts else None,
        rate_per_second=(reader.whole("rate_per_second", limits.rate_max) if starts else None)
        or min(limits.rate_default, limits.rate_max),
        events_max=reader.whole("events_max", limits.events_max)
        or min(EVENTS_MAX_DEFAULT, limits.events_max),
    )
    if starts and reader.given.get("reason") is None:
        reader.wrong("/reason", "is missing: say why these events are replayed")
    reader.raise_if_wrong("nothing was started")
    return asked


class _Reader(findings.Findings):
    """Reads members and collects what is wrong."""

    def __init__(self, body: Any, *, known: Collection[str]) -> None:
        super().__init__()
        if not isinstance(body, dict):
            raise problems.at("", "must be an object")
        self.given = cast("dict[str, Any]", body)
        self.refuse_unknown(self.given, known)

    def flawed(self, pointer: str) -> bool:
        return any((error.pointer or "").startswith(pointer) for error in self.faults)

    def mode(self) -> replays.Mode:
        return cast("replays.Mode", self._choice("mode", _MODES))

    def effects(self) -> replays.Effects:
        return cast("replays.Effects", self._choice("effects", _EFFECTS))

    def rule_versions(self, mode: str) -> dict[UUID, int] | None:
        """The named versions, by rule; none unless the mode is pinned."""
        value = self.given.get("rule_versions")
        if mode != "pinned":
            if value is not None:
                self.wrong("/rule_versions", 'goes with "mode": "pinned" only')
            return None
        if not isinstance(value, dict) or not 1 <= len(cast("dict[str, Any]", value)) <= (
            VERSIONS_MAX
        ):
            self.wrong(
                "/rule_versions",
                f'must name 1 to {VERSIONS_MAX} rules and a version of each: {{"<rule id>": 1}}',
            )
            return None
        found: dict[UUID, int] = {}
        for name, version in cast("dict[str, Any]", value).items():
            pointer = f"/rule_versions/{guards.escape(name[:_NAME_CHARACTERS_MAX])}"
            rule_id = pages.read_uuid(name)
            if rule_id is None:
                self.wrong(pointer, "is not the id of a rule: a UUID")
            elif not _is_whole(version, _VERSION_MAX):
                self.wrong(pointer, "must be the number of a version of this rule")
            else:
                found[rule_id] = version
        return found

    def filter(self) -> FilterBody:
        value = self.given.get("filter", {})
        if not isinstance(value, dict):
            self.wrong("/filter", "must be an object")
            return FilterBody()
        inner = _Reader(cast("dict[str, Any]", value), known=_FILTER)
        status = inner.given.get("status")
        if status is not None and status not in ("processed", "failed"):
            inner.wrong("/status", "must be processed or failed: others are not finished")
        after, before = inner.moment("received_after"), inner.moment("received_before")
        if after is not None and before is not None and after >= before:
            inner.wrong("/received_after", "must be before received_before")
        found = FilterBody(
            type=inner.text("type", _TYPE_CHARACTERS_MAX),
            status=None if inner.flawed("/status") else status,
            source=inner.text("source", _TEXT_CHARACTERS_MAX),
            subject=inner.text("subject", _TEXT_CHARACTERS_MAX),
            external_id=inner.text("external_id", _TEXT_CHARACTERS_MAX),
            q=inner.search("q"),
            rule_id=inner.uuid("rule_id"),
            received_after=after,
            received_before=before,
            event_ids=inner.uuids("event_ids", EVENT_IDS_MAX),
        )
        for fault in inner.faults:
            self.wrong(f"/filter{fault.pointer}", fault.detail)
        return found

    def flag(self, name: str) -> bool:
        value = self.given.get(name, False)
        if not isinstance(value, bool):
            self.wrong(f"/{name}", "must be true or false")
            return False
        return value

    def whole(self, name: str, most: int) -> int | None:
        value = self.given.get(name)
        if value is None:
            return None
        if not _is_whole(value, most):
            self.wrong(f"/{name}", f"must be a whole number from 1 to {most}")
            return None
        return value

    def text(self, name: str, most: int) -> str | None:
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= most:
            self.wrong(f"/{name}", f"must be a text of 1 to {most} characters")
            return None
        if not value.isprintable() or value != value.strip():
            self.wrong(f"/{name}", "may hold printable characters only, and no space at either end")
            return None
        return value

    def search(self, name: str) -> str | None:
        """Spaces at its ends count: the list of events looks for them too."""
        value = self.given.get(name)
        if value is None:
            return None
        least, most = event_filters.SEARCH_CHARACTERS_MIN, event_filters.SEARCH_CHARACTERS_MAX
        if not isinstance(value, str) or not least <= len(value) <= most:
            self.wrong(f"/{name}", f"must be a text of {least} to {most} characters")
            return None
        if not value.isprintable():
            self.wrong(f"/{name}", "may hold printable characters only")
            return None
        return value

    def uuid(self, name: str) -> UUID | None:
        value = self.given.get(name)
        if value is None:
            return None
        found = pages.read_uuid(value) if isinstance(value, str) else None
        if found is None:
            self.wrong(f"/{name}", "must be an id: a UUID")
        return found

    def uuids(self, name: str, most: int) -> list[UUID] | None:
        value = self.given.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not 1 <= len(cast("list[Any]", value)) <= most:
            self.wrong(f"/{name}", f"must be a list of 1 to {most} ids of events")
            return None
        found: set[UUID] = set()
        for index, item in enumerate(cast("list[Any]", value)):
            event_id = pages.read_uuid(item) if isinstance(item, str) else None
            if event_id is None:
                self.wrong(f"/{name}/{index}", "must be the id of an event: a UUID")
            else:
                found.add(event_id)
        return sorted(found)

    def moment(self, name: str) -> datetime | None:
        value = self.given.get(name)
        if value is None:
            return None
        try:
            found = msgspec.convert(value, datetime) if isinstance(value, str) else None
        except msgspec.ValidationError:
            found = None
        if found is None or found.tzinfo is None:
            self.wrong(
                f"/{name}", "must be a time with its offset from UTC, e.g. 2026-11-22T10:00:00Z"
            )
            return None
        return found

    def _choice(self, name: str, known: tuple[str, ...]) -> str:
        value = self.given.get(name, known[0])
        if value not in known:
            self.wrong(f"/{name}", f"must be one of {', '.join(known)}")
            return known[0]
        return str(value)


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most

"""POST, GET and DELETE /faults, and POST /: what is broken on purpose.

The routes exist only when faults are enabled; settings refuse that in production. A change replaces
everything: a knob that the body does not name is off, and an empty object resets.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, cast

import msgspec
from litestar import Request, delete, get, post
from litestar.handlers import HTTPRouteHandler

from services.api import access, database_pool, findings, guards, problems
from services.api.queries import faults as queries
from services.api.settings import ApiSettings
from shared import database, fault_rules, faults, lifecycle, telemetry

KNOBS = ("successOnAttempt", "breakBroker", "breakWorker", "breakConsumer", "duplicateEvents")
FAILPOINT_PREFIXES = {"breakWorker": "relay.", "breakConsumer": "consumer."}
BROKER_MODES = ("before_send", "after_ack", "timeout")
KINDS = ("raise", "hang", "exit", "stop")
KINDS_TO_CONFIRM = ("hang", "exit", "stop")
ATTEMPT_MAX = 1000
COPIES_MAX = 10
TTL_S_DEFAULT = 300
TTL_S_MAX = 900
HITS_MAX = 1_000_000
TEXT_CHARACTERS_MAX = 300

_SCOPE = ("match", "max_hits", "seed", "ttl_s", "confirm")
_MATCH = ("aggregate_id", "event_type", "percent", "first_n")
_log = telemetry.logger(__name__)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A body that was understood. modes holds the knobs that are on."""

    modes: dict[str, str]
    match: fault_rules.Match
    max_hits: int | None
    seed: int
    ttl_s: int


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One live rule; spent means that its hits are used up."""

    knob: str
    mode: str
    match: dict[str, Any]
    max_hits: int | None
    seed: int
    hits: int
    spent: bool
    created_at: datetime
    expires_at: datetime
    seconds_left: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What one service instance says that it has in force; alive: within five seconds."""

    service: str
    instance: str
    seen_version: int
    seen_at: datetime
    active: list[str]
    alive: bool


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state. Every living service has it when its seen_version is `version`.

    failpoints says per knob where it may break, and what is true at that place; the first is taken
    when none is named.
    """

    failpoints: dict[str, dict[str, str]]
    version: int
    knobs: dict[str, str]
    rules: list[Rule]
    services: list[Seen]


def routes(*, pool: database_pool.Pool, limits: guards.Limits) -> list[HTTPRouteHandler]:
    """The handlers; call only when faults are enabled."""

    @post(["/", "/faults"], status_code=200, tags=["faults"], summary="Break things on purpose")
    async def change_faults(request: Request[Any, Any, Any]) -> State:
        change = parse(guards.read_json(await request.body(), limits))
        return await replace(pool, change, actor=access.actor(request))

    @delete("/faults", status_code=200, tags=["faults"], summary="Break nothing any more")
    async def reset_faults(request: Request[Any, Any, Any]) -> State:
        return await replace(pool, parse({}), actor=access.actor(request))

    @get("/faults", tags=["faults"], summary="What is broken, and who knows")
    async def get_faults() -> State:
        async with database_pool.connection(pool) as conn:
            return await _read_state(conn)

    return [change_faults, reset_faults, get_faults]


async def watch(settings: ApiSettings) -> Callable[[], Awaitable[None]]:
    """Report what this process sees, as the other services do; the answer ends it."""
    if not settings.faults_enabled:
        return _nothing
    watching = fault_rules.FaultRules(
        service="api",
        instance=lifecycle.instance_name(settings.instance_id),
        dsn=settings.database_dsn,
    )
    await asyncio.to_thread(watching.start)

    async def stop() -> None:
        await asyncio.to_thread(watching.close)

    return stop


async def _nothing() -> None:
    """Nobody watches when faults are off."""


async def replace(pool: database_pool.Pool, change: Change, *, actor: str) -> State:
    """Put the change in the place of everything that is there, audited, and tell the services."""
    match = cast("dict[str, Any]", msgspec.to_builtins(change.match))
    async with database_pool.connection(pool) as conn:
        async with conn.transaction():
            await queries.take_role(conn)
            await queries.raise_version(conn)
            await queries.delete_rules(conn)
            await queries.insert_rules(
                conn,
                modes=change.modes,
                match=match,
                max_hits=change.max_hits,
                seed=change.seed,
                ttl_s=change.ttl_s,
            )
            await queries.insert_audit(
                conn,
                actor=actor,
                action="faults.set" if change.modes else "faults.reset",
                detail=cast("dict[str, Any]", msgspec.to_builtins(change)),
            )
        await queries.notify(conn)
        _log.warning("faults changed", knobs=change.modes, actor=actor)
        return await _read_state(conn)


def parse(body: Any) -> Change:
    """Read a body, or raise one Problem that points at everything that is wrong with it."""
    if not isinstance(body, dict):
        raise problems.at("", "send an object; an empty one resets")
    given = {
        name: value for name, value in cast("dict[str, Any]", body).items() if value is not None
    }
    reader = _Reader()
    reader.refuse_unknown(given, (*KNOBS, *_SCOPE), "")
    modes = {knob: mode for knob in KNOBS if (mode := reader.mode(knob, given.get(knob)))}
    change = Change(
        modes=modes,
        match=reader.match(given.get("match", {})),
        max_hits=reader.whole("/max_hits", given.get("max_hits"), 1, HITS_MAX),
        seed=reader.whole("/seed", given.get("seed"), 0, 2**31 - 1) or 0,
        ttl_s=reader.whole("/ttl_s", given.get("ttl_s"), 1, TTL_S_MAX) or TTL_S_DEFAULT,
    )
    confirmed = reader.switch("/confirm", given.get("confirm", False))
    reader.check_scope(change, confirmed=confirmed)
    reader.raise_if_wrong("nothing was changed")
    return change


class _Reader(findings.Findings):
    """Reads values and collects what is wrong, so that a client hears all of it at once."""

    def mode(self, knob: str, value: Any) -> str | None:
        """The mode as it is stored, or None for off."""
        if value is None or value is False:
            return None
        match knob:
            case "successOnAttempt":
                count = self.whole(f"/{knob}", value, 0, ATTEMPT_MAX)
                return str(count) if count is not None and count > 1 else None
            case "duplicateEvents":
                count = self.whole(f"/{knob}", 1 if value is True else value, 0, COPIES_MAX)
                return str(count) if count else None
            case "breakBroker":
                return self._broker_mode(value)
            case _:
                return self._failpoint_mode(knob, value)

    def match(self, value: Any) -> fault_rules.Match:
        if not isinstance(value, dict):
            self.wrong("/match", "must be an object")
            return fault_rules.Match()
        given = {
            name: item for name, item in cast("dict[str, Any]", value).items() if item is not None
        }
        self.refuse_unknown(given, _MATCH, "/match")
        return fault_rules.Match(
            aggregate_id=self._text("/match/aggregate_id", given.get("aggregate_id")),
            event_type=self._text("/match/event_type", given.get("event_type")),
            percent=self.whole("/match/percent", given.get("percent"), 1, 100) or 100,
            first_n=self.whole(
                "/match/first_n", given.get("first_n"), 1, fault_rules.AGGREGATES_MAX
            ),
        )

    def whole(self, pointer: str, value: Any, least: int, most: int) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(pointer, f"must be a whole number from {least} to {most}")
            return None
        return value

    def switch(self, pointer: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.wrong(pointer, "must be true or false")
        return value is True

    def check_scope(self, change: Change, *, confirmed: bool) -> None:
        """A failpoint is hit by a batch, not by one event; no whole service is ended by slip."""
        for knob, mode in change.modes.items():
            if knob not in FAILPOINT_PREFIXES:
                continue
            for name in ("aggregate_id", "event_type"):
                if getattr(change.match, name) is not None:
                    self.wrong(
                        f"/match/{name}",
                        f"{knob} breaks whole batches: match it by percent or first_n, or send the "
                        "other knobs without it",
                    )
            kind = mode.partition("@")[0]
            if kind in KINDS_TO_CONFIRM and change.match == fault_rules.Match() and not confirmed:
                self.wrong("/confirm", f"{knob} {kind} without a match needs confirm: true")

    def _text(self, pointer: str, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not 1 <= len(value) <= TEXT_CHARACTERS_MAX:
            self.wrong(pointer, f"must be a text of 1 to {TEXT_CHARACTERS_MAX} characters")
            return None
        return value

    def _broker_mode(self, value: Any) -> str | None:
        if value is True:
            return BROKER_MODES[0]
        if value in BROKER_MODES:
            return cast("str", value)
        self.wrong("/breakBroker", f"must be true, false or one of {', '.join(BROKER_MODES)}")
        return None

    def _failpoint_mode(self, knob: str, value: Any) -> str | None:
        text = KINDS[0] if value is True else value
        kind, at_sign, point = text.partition("@") if isinstance(text, str) else ("", "", "")
        point = point if at_sign else fault_rules.DEFAULT_FAILPOINTS[knob]
        points = _points(knob)
        if kind not in KINDS:
            self.wrong(
                f"/{knob}",
                f"must be true, false or one of {', '.join(KINDS)}, with @failpoint if wanted",
            )
            return None
        if point not in points:
            self.wrong(f"/{knob}", f"the failpoint must be one of {', '.join(points)}")
            return None
        return f"{kind}@{point}"


async def _read_state(conn: database.AsyncConnection[Any]) -> State:
    rows = await queries.read_rules(conn)
    rules = [_rule(row) for row in rows if row["knob"] is not None]
    return State(
        failpoints={knob: _points(knob) for knob in FAILPOINT_PREFIXES},
        version=rows[0]["version"],
        knobs={rule.knob: rule.mode for rule in rules},
        rules=rules,
        services=[Seen(**row) for row in await queries.read_seen(conn)],
    )


def _points(knob: str) -> dict[str, str]:
    default = fault_rules.DEFAULT_FAILPOINTS[knob]
    own = [name for name in faults.POINTS if name.startswith(FAILPOINT_PREFIXES[knob])]
    return {name: faults.POINTS[name] for name in (default, *own)}


def _rule(row: dict[str, Any]) -> Rule:
    limits = [row["max_hits"]]
    if row["knob"] in FAILPOINT_PREFIXES:
        limits.append(row["match"].get("first_n"))
    spent = any(limit is not None and row["hits"] >= limit for limit in limits)
    values = {name: value for name, value in row.items() if name != "version"}
    return Rule(spent=spent, **values)

"""Who gives a sign of life, and what can be said of the database and the broker. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import msgspec

from services.api.queries import presence

type Health = Literal["up", "silent", "unknown"]

KINDS = ("api", "relay", "consumer", "dispatcher")


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One process. since: up since it began, as far as it says; silent since its last sign."""

    instance: str
    state: Health
    since: datetime | None
    seen_at: datetime
    shards: int | None
    partitions: int | None
    rules_version: int | None


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """All processes of a kind, of the last hour. unknown: none gave a sign."""

    service: str
    state: Health
    since: datetime | None
    instances: list[Instance]


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """It answered, else there were no overview."""

    state: Health
    takes_writes: bool
    version: str


class BrokerState(msgspec.Struct, frozen=True, kw_only=True):
    """What the living relays last said. told_at: their newest heartbeat, null where none is up;
    since when it has been so is not known. says: in words, and how it is known.
    """

    state: Health
    told_at: datetime | None
    says: str


def group(
    rows: Iterable[presence.InstanceRow], *, own_name: str, started_at: datetime, now: datetime
) -> list[Service]:
    """Every kind, also one that nobody has heard of. The api that answers is up."""
    found: dict[str, list[Instance]] = {kind: [] for kind in KINDS}
    for row in rows:
        own = row.service == "api" and row.instance == own_name
        found[row.service].append(_instance(row, started_at=started_at if own else row.started_at))
    if not any(each.instance == own_name for each in found["api"]):
        found["api"].insert(0, _own(own_name, started_at, now))
    return [_service(kind, found[kind]) for kind in KINDS]


def broker(rows: Iterable[presence.InstanceRow]) -> BrokerState:
    relays = [row for row in rows if row.service == "relay" and row.up]
    if not relays:
        return BrokerState(
            state="unknown",
            told_at=None,
            says="no relay is up, and nobody else tells of the broker",
        )
    told_at = max(row.seen_at for row in relays)
    if all(row.broker_away for row in relays):
        return BrokerState(
            state="silent",
            told_at=told_at,
            says="every relay has lost all brokers; accepted events wait",
        )
    return BrokerState(
        state="up", told_at=told_at, says="a relay is up that has not found the broker away"
    )


def _instance(row: presence.InstanceRow, *, started_at: datetime | None) -> Instance:
    return Instance(
        instance=row.instance,
        state="up" if row.up else "silent",
        since=started_at if row.up else row.seen_at,
        seen_at=row.seen_at,
        shards=row.shards,
        partitions=row.partitions,
        rules_version=row.rules_version,
    )


def _own(name: str, started_at: datetime, now: datetime) -> Instance:
    return Instance(
        instance=name,
        state="up",
        since=started_at,
        seen_at=now,
        shards=None,
        partitions=None,
        rules_version=None,
    )


def _service(kind: str, instances: list[Instance]) -> Service:
    up = [each for each in instances if each.state == "up"]
    if up:
        starts = [each.since for each in up if each.since is not None]
        return Service(
            service=kind, state="up", since=min(starts, default=None), instances=instances
        )
    if instances:
        since = max(each.seen_at for each in instances)
        return Service(service=kind, state="silent", since=since, instances=instances)
    return Service(service=kind, state="unknown", since=None, instances=[])

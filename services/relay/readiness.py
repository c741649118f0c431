"""Ready means that work moves: every reason why it does not, in words for a person."""

import time

from services.relay import loop, settings
from shared import events, faults, health


def readiness(relay: loop.Relay, loaded: settings.RelaySettings) -> health.Readiness:
    """What /health/ready answers. Reads what the threads report and asks nobody."""
    reasons: list[str] = []
    if relay.database_away or relay.marker.database_away:
        reasons.append("Postgres does not answer")
    if relay.publisher.broker_away:
        reasons.append("no Kafka broker answers")
    if not relay.topics.counts:
        reasons.append("the topics are not read yet")
    if not relay.leases.owned and relay.leases.alive_relays <= events.SHARD_COUNT:
        reasons.append("no shard is owned yet")
    elif relay.leases.owned and not relay.leases.may_produce:
        reasons.append("the leases are not renewed")
    if stands_still(relay, loaded):
        reasons.append("the backlog does not move")
    reasons += [f"{topic}: {reason}" for topic, reason in list(relay.topics.held.items())]
    depth, age_seconds = relay.backlog
    return health.Readiness(
        ready=not reasons,
        reasons=reasons,
        detail={
            "shards": len(relay.leases.owned),
            "relays": relay.leases.alive_relays,
            "in_flight": relay.in_flight,
            "unpublished": depth,
            "oldest_unpublished_seconds": round(age_seconds, 3),
            "waiting_keys": len(relay.waiting_keys),
            "faults_enabled": faults.ENABLED,
        },
    )


def stands_still(relay: loop.Relay, loaded: settings.RelaySettings) -> bool:
    """Rows are in flight, and for too long none was acknowledged or marked."""
    last_move = max(relay.publisher.last_ack_at, relay.idle_at, relay.marker.marked_at)
    return relay.in_flight > 0 and time.monotonic() - last_move > loaded.relay_stall_seconds

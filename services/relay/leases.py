"""Which shards are ours, under which epoch, and for how long that may be believed.

The database's clock decides about leases; our monotonic clock only makes us stop earlier than it
would.
"""

import secrets
import time

from services.relay import settings
from services.relay.queries import leases as lease_queries
from services.relay.queries import outbox
from shared import events, telemetry

_DEAD_AFTER_LEASES = 30

_log = telemetry.logger(__name__)


def fair_share(*, alive: int, shards: int = events.SHARD_COUNT) -> int:
    """Shards that one of `alive` relays may own: rounded up, so that no shard is left over."""
    return -(-shards // max(alive, 1))


class Leases:
    """The shards of one relay. The owner's name is new for each process: a restart inherits
    nothing.
    """

    def __init__(self, loaded: settings.RelaySettings, *, instance: str) -> None:
        self.owner = f"{instance}:{secrets.token_hex(4)}"
        self.owned: dict[int, int] = {}
        self.leaving: set[int] = set()
        self.alive_relays = 1
        self.stop_at = 0.0
        self.taken_expired = False
        self.broker_away = False  # told with the heartbeat
        self._loaded = loaded
        self._renew_at = 0.0
        self._look_at = 0.0
        self._present = False

    @property
    def active(self) -> list[int]:
        """Shards whose rows may be read and published."""
        return [shard for shard in self.owned if shard not in self.leaving]

    @property
    def may_produce(self) -> bool:
        """False once half of the lease has gone by without a renewal."""
        return time.monotonic() < self.stop_at

    def tick(self, conn: outbox.Connection) -> bool:
        """Renew and look for shards when due; True when new ones were taken."""
        self.renew_when_due(conn)
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + self._loaded.lease_look_seconds
        return self._balance(conn)

    def renew_when_due(self, conn: outbox.Connection) -> None:
        """Keep what we own; take nothing."""
        now = time.monotonic()
        if now >= self._renew_at or not self.may_produce:
            self._renew(conn, asked_at=now)

    def release(self, conn: outbox.Connection, shards: list[int], *, clean: bool = True) -> None:
        """Give shards back, so that another relay need not wait for the lease to end."""
        if not shards:
            return
        with conn.transaction():
            lease_queries.release_shards(conn, owner=self.owner, shards=shards, clean=clean)
        self.drop(shards)
        _log.info("shards released", shards=len(shards), owned=len(self.owned), clean=clean)

    def drop(self, shards: list[int]) -> None:
        """Forget shards that are not ours any more."""
        for shard in shards:
            self.owned.pop(shard, None)
            self.leaving.discard(shard)

    def leave(self, conn: outbox.Connection, *, clean: bool) -> None:
        """Release everything and leave the count of the living."""
        self.release(conn, list(self.owned), clean=clean)
        lease_queries.leave(conn, name=self.owner)

    def _renew(self, conn: outbox.Connection, *, asked_at: float) -> None:
        """Extend the leases. The time counts from before the question: the answer may have been
        slow.
        """
        shards = list(self.owned)
        lease_seconds = self._loaded.lease_seconds
        with conn.transaction():
            lease_queries.beat(conn, name=self.owner, broker_away=self.broker_away)
            kept = lease_queries.renew_shards(
                conn,
                owner=self.owner,
                shards=shards,
                epochs=[self.owned[shard] for shard in shards],
                lease_seconds=lease_seconds,
            )
        lost = [shard for shard in shards if shard not in kept]
        if lost:
            self.drop(lost)
            _log.warning("leases lost", shards=len(lost), owned=len(self.owned))
        if not self._present:
            self._present = True
            lease_queries.forget_dead_relays(conn, dead_seconds=lease_seconds * _DEAD_AFTER_LEASES)
        self.stop_at = asked_at + lease_seconds / 2
        self._renew_at = asked_at + self._loaded.lease_renew_seconds

    def _balance(self, conn: outbox.Connection) -> bool:
        """Take free shards up to the fair share; mark what is above it for leaving."""
        lease_seconds = self._loaded.lease_seconds
        self.alive_relays, free = lease_queries.look_at_shards(conn, lease_seconds=lease_seconds)
        share = fair_share(alive=self.alive_relays)
        active = self.active
        for shard in active[share:]:
            self.leaving.add(shard)
        room = share - len(active)
        while room > 0 and self.leaving:
            self.leaving.pop()
            room -= 1
        if room <= 0 or free == 0:
            return False
        with conn.transaction():
            taken = lease_queries.take_shards(
                conn, owner=self.owner, count=min(room, free), lease_seconds=lease_seconds
            )
        if not taken:
            return False
        self.owned.update((shard, epoch) for shard, epoch, _ in taken)
        self.taken_expired |= any(expired for _, _, expired in taken)
        _log.info(
            "shards taken",
            shards=len(taken),
            owned=len(self.owned),
            alive_relays=self.alive_relays,
            expired=self.taken_expired,
        )
        return True

"""The fault tables as one service sees them: read each second and on notification, reported back.

Made only when faults are enabled. Whatever breaks on purpose first claims its hit in Postgres: the
row is there before the action, max_hits and first_n hold across services and restarts, and a rule
that was reset or has expired breaks nothing. Without Postgres nothing is broken on purpose.
"""

import threading
import time
import zlib
from datetime import datetime
from typing import Any, Literal, cast

import msgspec

from shared import database, faults, telemetry

CHANNEL = "oncely_faults"
POLL_SECONDS = 1.0
AGGREGATES_MAX = 1000  # the most that first_n may name: they are read with every poll

DEFAULT_FAILPOINTS = {
    "breakWorker": "relay.after_ack_before_mark",
    "breakConsumer": "consumer.before_commit",
}

type BrokerMode = Literal["before_send", "after_ack", "timeout"]
type Claim = Literal["taken", "refused", "unknown"]

_OWNERS = {"breakWorker": "relay", "breakConsumer": "consumer"}
_BROKER_MODES: dict[str, BrokerMode] = {
    "before_send": "before_send",
    "after_ack": "after_ack",
    "timeout": "timeout",
}
_STATEMENT_TIMEOUTS = "set statement_timeout = '2s'; set lock_timeout = '1s'"
_START_SECONDS = 5.0
_CLOSE_SECONDS = 3.0
_log = telemetry.logger(__name__)

# One statement, one snapshot: version and rules belong together. Expiry is by the database's
# clock. Hits are counted only where a rule has a limit.
READ_RULES: database.Query = """
    select s.version, r.knob, r.mode, r.match, r.max_hits, r.seed, r.created_at,
      extract(epoch from r.expires_at - clock_timestamp())::float8 as seconds_left,
      case when r.max_hits is null and not r.match ? 'first_n' then 0
        else (select count(*) from fault_hits h where h.knob = r.knob and h.hit_at >= r.created_at)
      end as hits,
      case when not r.match ? 'first_n' then '{}'
        else array(
          select distinct h.aggregate_id from fault_hits h
          where h.knob = r.knob and h.hit_at >= r.created_at and h.aggregate_id is not null
          limit 1000)
      end as aggregates
    from fault_state s
    left join fault_rules r on r.expires_at > clock_timestamp()
    order by r.knob"""

# Each instance writes its own row and no other.
REPORT_SEEN: database.Query = """
    insert into fault_seen (service, instance, seen_version, active, seen_at)
    values (%(service)s, %(instance)s, %(version)s, %(active)s, clock_timestamp())
    on conflict (service, instance) do update
    set
      seen_version = excluded.seen_version,
      active = excluded.active,
      seen_at = excluded.seen_at"""

# Two services claim the last hit at once: the second waits here, and its next statement sees the
# first's row.
LOCK_HITS: database.Query = "select pg_advisory_xact_lock(hashtext('oncely.fault_hits'))"

# Under the lock above. created_at names the very rule that the service has in mind: a rule that was
# reset or replaced meanwhile gives no hit.
CLAIM_HIT: database.Query = """
    insert into fault_hits (knob, service, instance, failpoint, aggregate_id)
    select r.knob, %(service)s, %(instance)s, %(failpoint)s, %(aggregate_id)s
    from fault_rules r
    where r.knob = %(knob)s and r.created_at = %(created_at)s and r.expires_at > clock_timestamp()
      and (
        %(hits_max)s::bigint is null
        or (
          select count(*) from fault_hits h where h.knob = r.knob and h.hit_at >= r.created_at
        ) < %(hits_max)s
      )
      and (
        %(aggregates_max)s::bigint is null
        or exists (
          select from fault_hits h
          where h.knob = r.knob and h.hit_at >= r.created_at and h.aggregate_id = %(aggregate_id)s
        )
        or (
          select count(distinct h.aggregate_id) from fault_hits h
          where h.knob = r.knob and h.hit_at >= r.created_at
        ) < %(aggregates_max)s
      )"""


class Match(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rule is limited to; the JSON of fault_rules.match."""

    aggregate_id: str | None = None
    event_type: str | None = None
    percent: int = 100
    first_n: int | None = None


class FaultRule(msgspec.Struct, frozen=True, kw_only=True):
    """One row of fault_rules and what the poll read beside it; deadline is this process's clock."""

    knob: str
    mode: str
    match: Match
    max_hits: int | None
    seed: int
    created_at: datetime
    deadline: float
    hits: int
    aggregates: frozenset[str]

    @property
    def failpoint(self) -> str | None:
        """`raise@relay.before_produce` -> `relay.before_produce`; None for what is no failpoint."""
        return self.mode.partition("@")[2] or None

    @property
    def hits_max(self) -> int | None:
        """A failpoint is hit by a batch, not by an event: there first_n counts hits."""
        if self.failpoint is None or self.match.first_n is None:
            return self.max_hits
        return min(self.match.first_n, self.max_hits or self.match.first_n)

    @property
    def spent(self) -> bool:
        return self.hits_max is not None and self.hits >= self.hits_max

    def matches(self, *, aggregate_id: str, event_type: str) -> bool:
        """Decide without I/O. The choice by percent is one per aggregate: a retry sees the same."""
        match = self.match
        return (
            time.monotonic() < self.deadline
            and match.aggregate_id in (None, aggregate_id)
            and match.event_type in (None, event_type)
            and zlib.crc32(f"{self.seed}:{aggregate_id}".encode()) % 100 < match.percent
            and (
                match.first_n is None
                or len(self.aggregates) < match.first_n
                or aggregate_id in self.aggregates
            )
        )


class FaultRules:
    """What is broken on purpose, for one service: own thread, own connections."""

    def __init__(self, *, service: str, instance: str, dsn: str) -> None:
        self._service = service
        self._instance = instance
        self._dsn = dsn
        self._live: dict[str, FaultRule] = {}
        self._armed: dict[str, tuple[datetime, str]] = {}
        self._reported: tuple[int, list[str]] = (0, [])
        self._stopping = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-rules", daemon=True)
        self._claims = _Claims(service=service, instance=instance, dsn=dsn)
        self._gauge = telemetry.gauge("oncely.faults.active")

    def start(self) -> None:
        """Return after the first look (rules outlive a restart); without Postgres after 5 s."""
        self._thread.start()
        self._looked.wait(_START_SECONDS)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(_CLOSE_SECONDS)
        self._arm([])
        self._live = {}
        faults.announce([])
        self._claims.close()

    def active(self) -> list[str]:
        """The knobs in force."""
        now = time.monotonic()
        return [rule.knob for rule in list(self._live.values()) if now < rule.deadline]

    def broker_mode(self, *, aggregate_id: str, event_type: str) -> BrokerMode | None:
        mode = self._take("breakBroker", "relay.produce", aggregate_id, event_type)
        return None if mode is None else _BROKER_MODES.get(mode)

    def duplicates(self, *, aggregate_id: str, event_type: str) -> int:
        """How many extra copies to publish."""
        return int(
            self._take("duplicateEvents", "relay.duplicate", aggregate_id, event_type) or "0"
        )

    def success_on_attempt(self, *, aggregate_id: str, event_type: str, attempt_no: int = 0) -> int:
        """The attempt that may succeed; 0 or 1 is off.

        With attempt_no only attempts that are made to fail are hits; without it every answer above
        1 is one.
        """
        rule = self._live.get("successOnAttempt")
        if rule is not None and attempt_no >= int(rule.mode):
            return 0
        return int(
            self._take("successOnAttempt", "consumer.attempt", aggregate_id, event_type) or "0"
        )

    def hit(self, failpoint: str) -> None:
        """The same as faults.hit: an armed failpoint claims its hit by itself."""
        faults.hit(failpoint)

    def _take(self, knob: str, failpoint: str, aggregate_id: str, event_type: str) -> str | None:
        rule = self._live.get(knob)
        if rule is None or not rule.matches(aggregate_id=aggregate_id, event_type=event_type):
            return None
        return rule.mode if self._claim(rule, failpoint, aggregate_id) else None

    def _claim(self, rule: FaultRule, failpoint: str, aggregate_id: str | None) -> bool:
        claimed = self._claims.take(rule, failpoint=failpoint, aggregate_id=aggregate_id)
        if claimed == "refused" and rule.match.first_n is None:
            # Spent, reset or expired, and so inert: no more questions until the next poll.
            self._live = {knob: live for knob, live in self._live.items() if live is not rule}
        return claimed == "taken"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except database.Error as error:
                _log.warning("fault tables cannot be read", error=str(error))
                self._stopping.wait(POLL_SECONDS)

    def _follow(self) -> None:
        with database.connect(
            self._dsn, application_name=f"{self._instance}-faults", autocommit=True
        ) as conn:
            conn.execute(_STATEMENT_TIMEOUTS, prepare=False)
            conn.execute(f"listen {CHANNEL}")
            while not self._stopping.is_set():
                self._refresh(conn)
                self._looked.set()
                for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                    pass

    def _refresh(self, conn: database.Connection[Any]) -> None:
        version, rules = read_rules(conn)
        live = [rule for rule in rules if not rule.spent]
        self._live = {rule.knob: rule for rule in live}
        self._arm(live)
        knobs = [rule.knob for rule in live]
        faults.announce(knobs)
        # Reported after it is in force: who reads the version may rely on it.
        conn.execute(
            REPORT_SEEN,
            {
                "service": self._service,
                "instance": self._instance,
                "version": version,
                "active": database.Jsonb(knobs),
            },
        )
        self._tell(version, knobs)

    def _arm(self, live: list[FaultRule]) -> None:
        wanted = {
            rule.knob: rule
            for rule in live
            if _OWNERS.get(rule.knob) == self._service and rule.failpoint in faults.POINTS
        }
        for knob, (created_at, point) in list(self._armed.items()):
            if knob not in wanted or wanted[knob].created_at != created_at:
                faults.disarm(point)
                del self._armed[knob]
        for knob, rule in wanted.items():
            point = rule.failpoint or ""
            # A point that the environment has set stays as it is: the first wins.
            if knob not in self._armed and not faults.armed(point):
                self._armed[knob] = (rule.created_at, point)
                self._arm_one(rule, point)

    def _arm_one(self, rule: FaultRule, point: str) -> None:
        def claim() -> bool:
            claimed = self._claim(rule, point, None)
            if claimed:
                _log.warning("fault hit", knob=rule.knob, failpoint=point, mode=rule.mode)
            return claimed

        kind = rule.mode.partition("@")[0]
        faults.arm(point, f"{rule.match.percent}%{kind}", seed=rule.seed, claim=claim)

    def _tell(self, version: int, knobs: list[str]) -> None:
        if (version, knobs) == self._reported:
            return
        if knobs:
            _log.warning("faults active", version=version, knobs=knobs)
        elif self._reported[1]:
            _log.warning("faults over", version=version)
        self._reported = (version, knobs)
        self._gauge.set(len(knobs))


class _Claims:
    """Records hits, one at a time, from whichever thread is about to break something."""

    def __init__(self, *, service: str, instance: str, dsn: str) -> None:
        self._service = service
        self._instance = instance
        self._dsn = dsn
        self._lock = threading.Lock()
        self._conn: database.Connection[Any] | None = None
        self._pause_until = 0.0

    def take(self, rule: FaultRule, *, failpoint: str, aggregate_id: str | None) -> Claim:
        """Refused: the rule is spent or gone. Unknown: Postgres did not answer; break nothing."""
        with self._lock:
            if time.monotonic() < self._pause_until:
                return "unknown"
            try:
                return self._insert(rule, failpoint, aggregate_id)
            except database.Error as error:
                # A service that waits for Postgres must not wait a second time for every event.
                self._pause_until = time.monotonic() + POLL_SECONDS
                self._drop_connection()
                _log.warning("fault hit cannot be recorded", error=str(error))
                return "unknown"

    def close(self) -> None:
        with self._lock:
            self._drop_connection()

    def _insert(self, rule: FaultRule, failpoint: str, aggregate_id: str | None) -> Claim:
        if self._conn is None:
            self._conn = database.connect(
                self._dsn, application_name=f"{self._instance}-fault-hits", autocommit=True
            )
            self._conn.execute(_STATEMENT_TIMEOUTS, prepare=False)
        with self._conn.transaction():
            self._conn.execute(LOCK_HITS)
            done = self._conn.execute(
                CLAIM_HIT,
                {
                    "knob": rule.knob,
                    "created_at": rule.created_at,
                    "service": self._service,
                    "instance": self._instance,
                    "failpoint": failpoint,
                    "aggregate_id": aggregate_id,
                    "hits_max": rule.hits_max,
                    "aggregates_max": None if aggregate_id is None else rule.match.first_n,
                },
            )
        return "taken" if done.rowcount == 1 else "refused"

    def _drop_connection(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def read_rules(conn: database.Connection[Any]) -> tuple[int, list[FaultRule]]:
    """The version of the fault state and its rules that have not expired; spent ones included."""
    rows = cast("list[tuple[Any, ...]]", conn.execute(READ_RULES).fetchall())
    rules = [
        FaultRule(
            knob=knob,
            mode=mode,
            match=msgspec.convert(match, Match),
            max_hits=max_hits,
            seed=seed,
            created_at=created_at,
            deadline=time.monotonic() + seconds_left,
            hits=hits,
            aggregates=frozenset(aggregates),
        )
        for _, knob, mode, match, max_hits, seed, created_at, seconds_left, hits, aggregates in rows
        if knob is not None
    ]
    return rows[0][0], rules

"""Named failpoints: places where a test, or a person with the fault API, breaks a service on
purpose.

Off costs one `if`:

    if faults.ENABLED:
        faults.hit("relay.after_ack_before_mark")

Terms come from FAILPOINTS (`point=term;point=term`) and from the fault tables (shared.fault_rules).
The grammar is that of fail-rs and gofail: `[p%][n*]action[(argument)][->next term]`, e.g. `1*kill`,
`50%raise`, `2*off->1*exit(3)`, `sleep(500)`, `wait`.

Actions: off, raise, exit(status), kill (SIGKILL), stop (SIGSTOP), sleep(ms), hang, which ends when
the point is disarmed or after 15 minutes, and wait, which writes `<FAILPOINT_DIR>/<point>.waiting`
and goes on once `<point>.go` appears there, or after 60 s.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shared import errors

POINTS: dict[str, str] = {
    "api.before_begin": "a batch was taken, nothing was sent to Postgres",
    "api.after_insert_before_commit": "the rows are inserted, the commit was not sent",
    "api.after_commit_before_reply": "committed, the clients have no answer",
    "replay.mid_range": "a page of a bulk replay and its position are written, not committed",
    "relay.after_lease_take": "shards are taken, nothing was published",
    "relay.before_produce": "rows are read, nothing was handed to the producer",
    "relay.after_produce_before_ack": "handed to the producer, no acknowledgement was looked at",
    "relay.after_ack_before_mark": "acknowledged by the broker, not marked in Postgres",
    "relay.after_mark_before_commit": "marked inside the transaction, not committed",
    "relay.after_mark_commit": "marked and committed",
    "relay.after_park": "a refused row is parked",
    "consumer.after_poll": "records are taken from Kafka, nothing was looked at",
    "consumer.before_begin": "the batch is planned, no transaction is open",
    "consumer.after_dedupe_insert": "dedupe rows are inserted, no effect yet",
    "consumer.after_effects": "all rows of the batch are inserted",
    "consumer.before_commit": "the commit is the next call",
    "consumer.after_commit_before_offset": "committed in Postgres, the offsets are not",
    "consumer.after_offset_commit": "both are committed",
    "consumer.on_revoke": "partitions are being taken away",
    "consumer.on_assign": "partitions were given",
    "consumer.on_lost": "partitions were lost",
    "dispatcher.after_claim": "deliveries are claimed and committed, nothing was sent",
    "dispatcher.before_send": "one delivery is about to be sent",
    "dispatcher.after_send_before_record": "answers are there, nothing of them is in Postgres",
    "dispatcher.after_record_before_next": "answers are recorded and committed",
}

ENABLED: bool = False

_WAIT_SECONDS_MAX = 60.0
_HANG_SECONDS_MAX = 900.0  # as long as a fault rule may live
_TERM = re.compile(
    r"(?:(?P<percent>\d{1,3})%)?(?:(?P<times>\d{1,6})\*)?(?P<action>[a-z_]+)(?:\((?P<argument>[^()]*)\))?"
)
_ACTIONS = frozenset({"off", "raise", "exit", "kill", "stop", "sleep", "hang", "wait"})
_active: dict[str, "Failpoint"] = {}
_announced: list[str] = []
_lock = threading.Lock()


class Term:
    """One step of a failpoint: how often, with which chance, what."""

    def __init__(self, text: str) -> None:
        match = _TERM.fullmatch(text.strip())
        if match is None or match["action"] not in _ACTIONS:
            known = ", ".join(sorted(_ACTIONS))
            message = f"failpoint term {text!r}: expected [p%][n*]action, action one of {known}"
            raise errors.ConfigurationError(message)
        self.chance = int(match["percent"] or 100) / 100
        self.left = int(match["times"]) if match["times"] else None
        self.action = match["action"]
        self.argument = match["argument"] or ""


class Failpoint:
    """The terms of one point, used up from the left."""

    def __init__(
        self, name: str, text: str, *, seed: int = 0, claim: Callable[[], bool] | None = None
    ) -> None:
        if name not in POINTS:
            message = f"unknown failpoint {name!r}; known: {', '.join(POINTS)}"
            raise errors.ConfigurationError(message)
        self.name = name
        self.terms = [Term(part) for part in text.split("->")]
        self.claim = claim
        self.disarmed = threading.Event()
        self._random = random.Random(seed)  # noqa: S311 a reproducible choice is wanted, not a secret

    def next_action(self) -> Term | None:
        while self.terms:
            term = self.terms[0]
            if term.left == 0:
                self.terms.pop(0)
                continue
            if self._random.random() >= term.chance:
                return None
            if term.left is not None:
                term.left -= 1
            return None if term.action == "off" else term
        return None


def configure(*, enabled: bool, failpoints: str) -> None:
    """Switch failpoints on or off for this process and set those of the environment.

    Raises ConfigurationError for an unknown point or a term that cannot be read.
    """
    global ENABLED  # noqa: PLW0603 the one constant that every call site tests
    parsed = dict(_parse(part) for part in failpoints.split(";") if part.strip())
    with _lock:
        _active.clear()
        _active.update(parsed)
        _announced.clear()
    ENABLED = enabled  # pyright: ignore[reportConstantRedefinition] set once per process


def arm(
    name: str, text: str, *, seed: int = 0, claim: Callable[[], bool] | None = None
) -> Failpoint:
    """Set one failpoint at run time (fault tables, tests).

    claim is asked before each action: it records the hit; when it answers False, nothing happens.
    """
    point = Failpoint(name, text, seed=seed, claim=claim)
    with _lock:
        replaced = _active.get(name)
        _active[name] = point
    if replaced is not None:
        replaced.disarmed.set()
    return point


def disarm(name: str) -> None:
    """Take one failpoint back; unknown or unset ones are ignored."""
    with _lock:
        point = _active.pop(name, None)
    if point is not None:
        point.disarmed.set()


def armed(name: str) -> bool:
    """Whether the point is set, by the environment or by arm."""
    with _lock:
        return name in _active


def announce(knobs: list[str]) -> None:
    """Say which fault rules are in force in this process (shared.fault_rules)."""
    _announced[:] = knobs


def health() -> dict[str, Any]:
    """What every readiness answer also shows; empty when nothing is broken on purpose."""
    with _lock:
        found = [*_announced, *_active]
    return {"degraded": "faults active", "faults": found} if found else {}


def hit(name: str, *, before_action: Callable[[], None] | None = None) -> None:
    """Do what the failpoint says. Raises InjectedFault for `raise`.

    before_action runs first when there is something to do: it is how a hit is recorded before a
    kill.
    """
    with _lock:
        point = _active.get(name)
        term = point.next_action() if point else None
    if point is None or term is None:
        return
    if point.claim is not None and not point.claim():
        return
    if before_action is not None:
        before_action()
    _perform(point, term)


def _parse(part: str) -> tuple[str, Failpoint]:
    name, separator, text = part.strip().partition("=")
    if not separator:
        message = f"failpoint {part.strip()!r}: expected point=term"
        raise errors.ConfigurationError(message)
    return name, Failpoint(name, text)


def _perform(point: Failpoint, term: Term) -> None:
    match term.action:
        case "raise":
            message = f"failpoint {point.name}"
            raise errors.InjectedFault(message)
        case "exit":
            os._exit(int(term.argument or 1))
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            # To this thread, which then stops here; sent to the process, another thread may take it
            # and this one may go on for a moment.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        case "sleep":
            time.sleep(min(int(term.argument or 1000) / 1000, _WAIT_SECONDS_MAX))
        case "hang":
            point.disarmed.wait(_HANG_SECONDS_MAX)
        case _:
            _wait_for_wakeup(point.name)


def _wait_for_wakeup(name: str) -> None:
    folder = Path(os.environ.get("FAILPOINT_DIR", "."))
    go = folder / f"{name}.go"
    (folder / f"{name}.waiting").touch()
    deadline = time.monotonic() + _WAIT_SECONDS_MAX
    while not go.exists() and time.monotonic() < deadline:
        time.sleep(0.01)

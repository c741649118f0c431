"""Which writes of people change what: announced when they were answered with success, that is after
their commit. What a request alone does not tell (new events, pages of a replay, an act that changes
more than one row) is announced where it is committed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from services.api import jobs
from shared import live

type Change = tuple[live.Kind, str]

_RULE: Change = ("rule", "changed")
_TARGET: Change = ("target", "changed")
_EVENT_TYPE: Change = ("event_type", "changed")
_FAULT: Change = ("fault", "changed")
_REPLAY_JOB: Change = ("replay_job", "changed")
_OK = 200
_CREATED = 201

# Method and route -> kind and status. The id is the second segment of Location, or of the path.
OF: Mapping[tuple[str, str], Change] = {
    ("POST", "/backtests/{backtest_id}/cancel"): ("backtest", "changed"),
    ("POST", "/dead-letters/{letter_id}/discard"): ("dead_letter", "discard_requested"),
    ("POST", "/dead-letters/{letter_id}/redrive"): ("dead_letter", "redrive_requested"),
    ("PUT", "/event-types/{event_type}"): _EVENT_TYPE,
    ("DELETE", "/event-types/{event_type}"): _EVENT_TYPE,
    ("POST", "/events/{event_id}/replay"): ("event", "pending"),
    ("POST", "/"): _FAULT,
    ("POST", "/faults"): _FAULT,
    ("DELETE", "/faults"): _FAULT,
    ("POST", "/replays"): _REPLAY_JOB,
    ("PATCH", "/replays/{job_id}"): _REPLAY_JOB,
    ("POST", "/replays/{job_id}/cancel"): _REPLAY_JOB,
    ("POST", "/replays/{job_id}/pause"): _REPLAY_JOB,
    ("POST", "/replays/{job_id}/resume"): _REPLAY_JOB,
    ("POST", "/rules"): _RULE,
    ("PUT", "/rules/{rule_id}"): _RULE,
    ("PATCH", "/rules/{rule_id}"): _RULE,
    ("DELETE", "/rules/{rule_id}"): _RULE,
    ("POST", "/rules/{rule_id}/backtests"): ("backtest", "queued"),
    ("POST", "/rules/{rule_id}/restore"): _RULE,
    ("POST", "/rules/{rule_id}/versions"): _RULE,
    ("POST", "/rules/{rule_id}/versions/{version}/publish"): _RULE,
    ("POST", "/rules/{rule_id}/versions/{version}/resume"): _RULE,
    ("POST", "/rules/{rule_id}/versions/{version}/retire"): _RULE,
    ("POST", "/rules/{rule_id}/versions/{version}/shadow"): _RULE,
    ("POST", "/targets"): _TARGET,
    ("PATCH", "/targets/{target_id}"): _TARGET,
    ("DELETE", "/targets/{target_id}"): _TARGET,
    ("POST", "/targets/{target_id}/disable"): _TARGET,
    ("POST", "/targets/{target_id}/enable"): _TARGET,
    ("POST", "/targets/{target_id}/secrets"): _TARGET,
}


def announce_answer(
    announcer: live.Announcer,
    scope: Any,
    template: str,
    status_code: int,
    headers: Iterable[tuple[bytes, bytes]],
) -> None:
    """Once the answer is known: what was refused has changed nothing."""
    change = OF.get((scope["method"], template))
    if change is None or not _OK <= status_code < _OK + 100:
        return
    given = (value for name, value in headers if name.lower() == b"location")
    place: bytes = next(given, scope["raw_path"])
    kind, status = change
    segments = place.decode("latin-1").split("/")
    item_id = "faults" if kind == "fault" else unquote(segments[2])
    event_type = item_id if kind == "event_type" else None
    announcer.announce(kind, status, [(item_id, event_type)])


def announce_batch(
    announcer: live.Announcer, batch: Sequence[jobs.Job], results: Sequence[jobs.Result]
) -> None:
    """After the commit of a batch: the events that it made."""
    made: list[live.Item] = []
    for job, result in zip(batch, results, strict=True):
        match job, result:
            case jobs.CreateOrders(), jobs.Reply(replayed=False):
                made += [(order.event.id, order.event.event_type) for order in job.orders]
            case jobs.ChangeOrder(), jobs.Reply(event=jobs.NewEvent() as event):
                made.append((event.id, event.event_type))
            case jobs.IngestEvents(), jobs.Ingested():
                made += [
                    (event.id, event.event_type)
                    for event, outcome in zip(job.events, result.outcomes, strict=True)
                    if isinstance(outcome, jobs.Reply) and outcome.status == _CREATED
                ]
            case _:
                pass
    announcer.announce("event", "pending", made)

"""`log`: one structured line that names the rule and the event, with the rule's own message."""

from services.consumer import evaluation
from shared import telemetry
from shared.rules import actions, port

MESSAGE_CHARACTERS_MAX = 1000

_log = telemetry.logger(__name__)


def run(
    facts: port.Facts, entry: evaluation.Entry, action: actions.Action, limits: port.Limits
) -> None:
    rendered = actions.render(action, facts, limits=limits)
    text = rendered.error or str(rendered.params.get("message", ""))
    write = _log.warning if action.params.get("level") == "warning" else _log.info
    write(
        "rule applied",
        rule=str(entry.rule_id),
        version=entry.version,
        event_id=str(facts.event_id),
        event_type=facts.event_type,
        message=text[:MESSAGE_CHARACTERS_MAX],
    )

"""The timeline of an event as a tree: runs as branches, deliveries with their attempts below."""

from datetime import datetime
from typing import Any

from rich.tree import Tree

from cli import client, output

COLOURS = {
    "ok": "green",
    "failed": "red",
    "unknown": "yellow",
    "waiting": "cyan",
    "note": "dim",
}
MARKS = {"ok": "✓", "failed": "✗", "unknown": "?", "waiting": "…", "note": "·"}
PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms")
DETAILS = ("error_message", "last_error", "error", "late_answer", "reason")
_SECOND_MS = 1000.0
_MINUTE_SECONDS = 60


def show(document: dict[str, Any]) -> None:
    """Print GET /events/{id}/timeline for people."""
    tree = Tree(
        f"[bold]{output.safe(document.get('type'))}[/] {output.safe(document.get('event_id'))}"
        f"  {output.safe(document.get('status'))}"
        f"  [dim]trace {output.safe(document.get('trace_id'))}[/]"
    )
    start = datetime.fromisoformat(str(document.get("received_at")))
    nodes: dict[str | None, Tree] = {None: tree}
    trace = document.get("trace_id")
    for entry in map(client.members, client.items(document.get("entries"))):
        above = nodes.get(entry.get("parent"), tree)
        nodes[str(entry.get("key"))] = above.add(_line(entry, start, trace))
    output.console.print(tree)
    if document.get("cut_off"):
        output.console.print("[dim]there are more entries than are told[/]")


def offset(start: datetime, at: datetime) -> str:
    """How long after the acceptance, in the unit that fits."""
    seconds = (at - start).total_seconds()
    if abs(seconds) < 1:
        return f"{seconds * _SECOND_MS:+.1f} ms"
    if abs(seconds) < _MINUTE_SECONDS:
        return f"{seconds:+.2f} s"
    minutes, rest = divmod(abs(seconds), _MINUTE_SECONDS)
    hours, minutes = divmod(int(minutes), _MINUTE_SECONDS)
    sign = "-" if seconds < 0 else "+"
    return f"{sign}{hours} h {minutes} min" if hours else f"{sign}{minutes} min {rest:.0f} s"


def _line(entry: dict[str, Any], start: datetime, trace: Any) -> str:
    outcome = str(entry.get("outcome"))
    colour = COLOURS.get(outcome, "default")
    mark = MARKS.get(outcome, " ")
    at = offset(start, datetime.fromisoformat(str(entry.get("at"))))
    told = _details(entry)
    if entry.get("parent") is None and entry.get("trace_id") not in {None, trace}:
        told.append(f"trace {entry['trace_id']}")
    more = f"  [dim]{output.safe(', '.join(told))}[/]" if told else ""
    title = output.safe(entry.get("title"))
    return f"[dim]{at:>9}[/] [{colour}]{mark} {title}[/]{more}"


def _details(entry: dict[str, Any]) -> list[str]:
    """What is worth a place on the line; --json has everything."""
    detail = client.members(entry.get("detail"))
    found: list[str] = []
    duration = entry.get("duration_ms")
    if isinstance(duration, int | float):
        found.append(f"{duration:.1f} ms")
    phases = [
        f"{name.removesuffix('_ms').replace('_', ' ')} {detail[name]:.1f}"
        for name in PHASES
        if isinstance(detail.get(name), int | float)
    ]
    found += [" ".join(phases)] if phases else []
    title = str(entry.get("title"))
    found += [str(detail[name]) for name in DETAILS if detail.get(name)]
    return [each for each in found if each not in title]

"""Which pictures docs/console shows, and the words beside them: one template for both."""

from tests.console.places import Places

STEPS = {
    "first-steps": "Open the console",
    "first-event": "Watch it go through",
    "first-rule": "Make a rule from it",
    "rule-fired": "See it fire",
}
STEPS_SAY = {
    "first-steps": """`make run` prints its address. The first screen says what is up and what to do
next. Press **Send a test event**.""",
    "first-event": """Follow **Watch it go through the pipeline**. The timeline shows each step with
its moment: accepted, outbox row, published, processed, applied once.""",
    "first-rule": """Press **Make a rule from this event** and begin from a template. The test bench
beside the editor says at once whether the rule would apply to that event, and what it would do.
Nothing runs before you press **Publish**.""",
    "rule-fired": """Send another test event from the overview and open it: the timeline now holds
the rule that matched and what it did.""",
}

SCREENS = {
    "overview": "Overview: the pipeline with live numbers, what failed, latency, lag, services.",
    "events": "Events: the filter is the address; new rows wait until you ask for them.",
    "event": "One event: what became of it, step by step, each duplicate a row.",
    "event-payload": "Its payload, headers and receipts.",
    "rules": "Rules: what happens when an event arrives.",
    "rule-new": "A new rule: begun from a template, for the type of an event.",
    "rule": "One rule: its versions and what they did.",
    "rule-edit": "Editing a rule, with the test bench on real events.",
    "rule-versions": "Its versions and their differences.",
    "deliveries": "Deliveries: each webhook and mail, by state.",
    "delivery": "One delivery: the request, and every attempt with its phases.",
    "targets": "Targets: receivers and their health.",
    "target": "One target: limits, secrets, how to verify its signature.",
    "dead-letters": "Dead letters: by cause and receiver, with what mends them all.",
    "dead-letter": "One dead letter, beside its list.",
    "replays": "Replays: past events once more.",
    "replay-new": "A new replay: filter, preview, run.",
    "replay": "One replay: its progress and what came out differently.",
    "faults": "Faults: break something on purpose, beside the invariants that must hold.",
    "event-types": "Event types: schema, retries, what waits behind a failure.",
    "keys": "API keys.",
    "reference": "The API reference, offline.",
    "settings": "Settings of this browser, and who you are.",
}


def addresses(filled: Places) -> dict[str, str]:
    """Where each screen of SCREENS is."""
    event, rule = f"/events/{filled.event_id}", f"/rules/{filled.rule_id}"
    return {
        "overview": "/",
        "events": "/events",
        "event": event,
        "event-payload": f"{event}?tab=payload",
        "rules": "/rules",
        "rule-new": f"/rules/new?event_id={filled.event_id}",
        "rule": rule,
        "rule-edit": f"{rule}?tab=edit",
        "rule-versions": f"{rule}?tab=versions",
        "deliveries": "/deliveries",
        "delivery": f"/deliveries/{filled.delivery_id}",
        "targets": "/targets",
        "target": f"/targets/{filled.target_id}",
        "dead-letters": "/dead-letters",
        "dead-letter": f"/dead-letters?letter={filled.letter_id}",
        "replays": "/replays",
        "replay-new": "/replays/new?type=payment.completed",
        "replay": f"/replays/{filled.job_id}",
        "faults": "/faults",
        "event-types": "/event-types",
        "keys": "/keys",
        "reference": "/reference",
        "settings": "/settings",
    }


def step_file(name: str) -> str:
    return f"first-minute-{list(STEPS).index(name) + 1}-{name}.jpg"


def screen_file(name: str, size: str, theme: str) -> str:
    return f"{name}-{size}-{theme}.jpg"


def document() -> str:
    """docs/console/README.md."""
    lines = [
        "# The console",
        "",
        "Made by `make screenshots` from a running system; do not edit it by hand.",
        "",
        "## The first minute",
        "",
    ]
    for number, (name, title) in enumerate(STEPS.items(), 1):
        lines += [
            f"**{number}. {title}.** {STEPS_SAY[name]}",
            "",
            f"![{title}]({step_file(name)})",
            "",
        ]
    lines += [
        "## Every screen",
        "",
        "Each is here wide and narrow, light and dark.",
        "",
    ]
    for name, text in SCREENS.items():
        title, _, _ = text.partition(":")
        wide = screen_file(name, "wide", "light")
        others = ", ".join(
            f"[{size} {theme}]({screen_file(name, size, theme)})"
            for size, theme in (("wide", "dark"), ("narrow", "light"), ("narrow", "dark"))
        )
        lines += [f"### {title.rstrip('.')}", "", f"{text} Also: {others}.", ""]
        lines += [f"![{title.rstrip('.')}]({wide})", ""]
    return "\n".join(lines).rstrip() + "\n"

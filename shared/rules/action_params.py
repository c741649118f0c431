"""Which parameters each kind of action takes, and what each must look like at save."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import msgspec

from shared import templates
from shared.rules import port, webhooks

KINDS = ("log", "noop", "call_webhook", "send_email")
FLAWS_MAX = 20
LEVELS = ("info", "warning")
RECIPIENTS_MAX = 50
SUBJECT_CHARACTERS_MAX = 500
TARGET_CHARACTERS_MAX = 200

_OPENING = "{{"
_DEPTH_MAX = 32
_NODES_MAX = 10_000
_INTEGER_MAX = 2**63 - 1
_MAILBOX = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}@[A-Za-z0-9.-]{1,253}")


class Flaws:
    """What was found so far, bounded."""

    def __init__(self) -> None:
        self.found: list[port.Flaw] = []

    def add(self, pointer: str, message: str) -> None:
        if len(self.found) < FLAWS_MAX:
            self.found.append(port.Flaw(pointer=pointer, message=message))


class _Check:
    """The parameters of one action under check."""

    def __init__(self, given: dict[str, Any], pointer: str, flaws: Flaws) -> None:
        self.given = given
        self.pointer = pointer
        self.flaws = flaws

    def add(self, name: str, message: str) -> None:
        self.flaws.add(f"{self.pointer}/{port.escape(name)}", message)

    def template(self, name: str, value: Any) -> bool:
        """Whether a value is a text with good variables only."""
        if not isinstance(value, str):
            self.add(name, "must be text")
            return False
        message = _flaw_of_template(value)
        if message is not None:
            self.add(name, message)
        return message is None


def check(
    kind: str, given: dict[str, Any], *, pointer: str, flaws: Flaws, limits: port.Limits
) -> dict[str, Any]:
    """Add what is wrong with the parameters of an action; give them as they are stored."""
    known, look = _CHECKS[kind]
    for name in given:
        if name not in known:
            listed = f": {', '.join(known)}" if known else "; it takes none"
            flaws.add(f"{pointer}/{port.escape(name)}", f"is no parameter of `{kind}`{listed}")
    if (message := _flaw_of_size(given, limits)) is not None:
        flaws.add(pointer, message)
        return {}
    kept = {name: value for name, value in given.items() if value is not None}
    look(_Check(kept, pointer, flaws))
    return kept


def is_mailbox(text: str) -> bool:
    """One plain address; no display name, no list."""
    return _MAILBOX.fullmatch(text) is not None


def _flaw_of_size(value: Any, limits: port.Limits) -> str | None:
    waiting: list[tuple[Any, int]] = [(value, 1)]
    nodes = 0
    while waiting:
        item, depth = waiting.pop()
        nodes += 1
        if nodes > _NODES_MAX or depth > _DEPTH_MAX:
            return f"has more than {_NODES_MAX} values or {_DEPTH_MAX} levels"
        if isinstance(item, dict):
            members = cast(dict[str, Any], item)
            waiting.extend((name, depth) for name in members)
            waiting.extend((inner, depth + 1) for inner in members.values())
        elif isinstance(item, list):
            waiting.extend((inner, depth + 1) for inner in cast(list[Any], item)[:_NODES_MAX])
        elif (message := _flaw_of_scalar(item)) is not None:
            return message
    size = len(msgspec.json.encode(value))
    if size > limits.output_bytes_max:
        return f"has {size} bytes of JSON; at most {limits.output_bytes_max}"
    return None


def _flaw_of_scalar(value: Any) -> str | None:
    match value:
        case None | bool():
            return None
        case int():
            return None if abs(value) <= _INTEGER_MAX else "has a number beyond 64 bits"
        case float():
            return None if math.isfinite(value) else "has a number that is not finite"
        case str():
            bad = "\0" in value or any("\ud800" <= c <= "\udfff" for c in value)
            return "has a text with a character that cannot be stored" if bad else None
        case _:
            return f"has a {type(value).__name__}, which JSON has not"


def _flaw_of_template(text: str) -> str | None:
    try:
        templates.parse(text)
    except templates.Malformed as malformed:
        return str(malformed)
    return None


def _check_log(params: _Check) -> None:
    if "message" in params.given:
        params.template("message", params.given["message"])
    if params.given.get("level", LEVELS[0]) not in LEVELS:
        params.add("level", f"must be one of {', '.join(LEVELS)}")


def _check_noop(_: _Check) -> None:
    """Takes nothing, so nothing can be wrong."""


def _check_webhook(params: _Check) -> None:
    given = params.given
    if ("url" in given) == ("target" in given):
        params.add("url", "give either a url or the name of a target")
    if "target" in given:
        _check_target(params, given["target"])
    if "url" in given and params.template("url", given["url"]):
        for message in _flaws_of_url(given["url"]):
            params.add("url", message)
    method = given.get("method", webhooks.METHODS[0])
    if method not in webhooks.METHODS:
        params.add("method", f"must be one of {', '.join(webhooks.METHODS)}")
    elif method == "GET" and "body" in given:
        params.add("body", "a GET has no body")
    _check_headers(params, given.get("headers", {}))
    if "body" in given:
        _check_body(params, given["body"])


def _check_target(params: _Check, target: Any) -> None:
    if not isinstance(target, str) or not 0 < len(target) <= TARGET_CHARACTERS_MAX:
        params.add("target", f"must be text of 1 to {TARGET_CHARACTERS_MAX} characters")
    elif _OPENING in target or not target.isprintable():
        params.add("target", "is the name or id of a target, without variables")


def _flaws_of_url(url: str) -> Iterator[str]:
    """Of a URL as it stands, each variable replaced by a harmless letter."""
    misplaced = list(webhooks.flaws_of_template(url, _OPENING))
    yield from misplaced
    if not misplaced:
        parts = templates.parse(url).parts
        yield from webhooks.flaws_of_url("".join(p if isinstance(p, str) else "x" for p in parts))


def _check_headers(params: _Check, headers: Any) -> None:
    if not isinstance(headers, dict):
        params.add("headers", "must be an object of texts")
        return
    named = cast(dict[str, Any], headers)
    if len(named) > webhooks.HEADERS_MAX:
        params.add("headers", f"has {len(named)} headers; at most {webhooks.HEADERS_MAX}")
        return
    if len({name.lower() for name in named}) < len(named):
        params.add("headers", "has a header twice: upper and lower case are the same")
    below = _Check(named, f"{params.pointer}/headers", params.flaws)
    for name, value in named.items():
        for message in webhooks.flaws_of_header_name(name):
            below.add(name, message)
        if below.template(name, value) and (message := webhooks.flaw_of_header_value(value)):
            below.add(name, message)


def _check_body(params: _Check, body: Any) -> None:
    waiting: list[tuple[Any, str]] = [(body, f"{params.pointer}/body")]
    while waiting:
        value, pointer = waiting.pop()
        if isinstance(value, dict):
            for name, inner in cast(dict[str, Any], value).items():
                below = f"{pointer}/{port.escape(name)}"
                if _OPENING in name:
                    params.flaws.add(below, "a member's name cannot have variables")
                waiting.append((inner, below))
        elif isinstance(value, list):
            entries = cast(list[Any], value)
            waiting.extend((inner, f"{pointer}/{place}") for place, inner in enumerate(entries))
        elif isinstance(value, str) and (message := _flaw_of_template(value)) is not None:
            params.flaws.add(pointer, message)


def _check_email(params: _Check) -> None:
    _check_recipients(params, params.given.get("to"))
    for name in ("subject", "body"):
        value = params.given.get(name)
        if value is None or value == "":
            params.add(name, "is required")
        else:
            params.template(name, value)
    subject = params.given.get("subject")
    if isinstance(subject, str) and (message := flaw_of_line(subject)) is not None:
        params.add("subject", message)


def _check_recipients(params: _Check, to: Any) -> None:
    recipients = cast(list[Any], to) if isinstance(to, list) else [to]
    if to is None or not 0 < len(recipients) <= RECIPIENTS_MAX:
        params.add("to", f"must be an address, or 1 to {RECIPIENTS_MAX} of them")
        return
    for position, recipient in enumerate(recipients):
        name = f"to/{position}" if isinstance(to, list) else "to"
        pointer = f"{params.pointer}/{name}"
        if not isinstance(recipient, str):
            params.flaws.add(pointer, "must be text")
        elif (message := _flaw_of_template(recipient)) is not None:
            params.flaws.add(pointer, message)
        elif _OPENING not in recipient and not is_mailbox(recipient):
            params.flaws.add(pointer, "must be one plain address such as name@example.com")


def flaw_of_line(text: str) -> str | None:
    """What is wrong with a text that becomes one line of a message's head."""
    if not text.isprintable():
        return "has a line break or a control character"
    if len(text) > SUBJECT_CHARACTERS_MAX:
        return f"has {len(text)} characters; at most {SUBJECT_CHARACTERS_MAX}"
    return None


_CHECKS: dict[str, tuple[tuple[str, ...], Callable[[_Check], None]]] = {
    "log": (("message", "level"), _check_log),
    "noop": ((), _check_noop),
    "call_webhook": (("url", "method", "headers", "body", "target"), _check_webhook),
    "send_email": (("to", "subject", "body"), _check_email),
}

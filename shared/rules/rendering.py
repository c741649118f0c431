"""Actions with their variables filled in. A value from an event never changes the shape of what it
is put into: no new line in a header, no new recipient, no other path or host of a URL.
"""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote

import msgspec

from shared import templates
from shared.rules import action_params, port, webhooks

_NATIVE = "templates"
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Impossible(Exception):
    """An action cannot be rendered with this event; says why."""


class _Filling:
    """One action being rendered."""

    def __init__(self, values: dict[str, Any], output: templates.Output) -> None:
        self.values = values
        self.output = output

    def text(self, template: str) -> str:
        return templates.fill_text(templates.parse(template), self.values, self.output)

    def line(self, name: str, template: str, escape: Callable[[str], str] | None = None) -> str:
        """A text whose variables must all be there."""
        parsed = templates.parse(template)
        for variable in parsed.variables:
            value = None
            try:
                value = templates.look_up(self.values, variable)
            except KeyError:
                self.output.missing.append(variable.text)
            if value is None or value == "":
                raise Impossible(f"{name}: the event has no {variable.text}")
        return templates.fill_text(parsed, self.values, self.output, escape=escape)

    def json(self, value: Any) -> Any:
        """A JSON document; its depth was bounded when it was saved."""
        match value:
            case dict():
                members = cast(dict[str, Any], value)
                return {name: self.json(inner) for name, inner in members.items()}
            case list():
                return [self.json(inner) for inner in cast(list[Any], value)]
            case str():
                return templates.fill_value(templates.parse(value), self.values, self.output)
            case _:
                return value


def fill(
    kind: str, params: dict[str, Any], facts: port.Facts, output: templates.Output
) -> dict[str, Any]:
    """The parameters of an action for one event. Raises Impossible or templates.TooLarge."""
    size_max = output.bytes_left
    filling = _Filling(_values(facts), output)
    fills = _FILL[kind]
    try:
        filled = {name: fills.get(name, _as_is)(filling, value) for name, value in params.items()}
    except templates.Malformed as malformed:
        raise Impossible(str(malformed)) from malformed
    if len(_encode(filled)) > size_max:
        raise templates.TooLarge
    return filled


def _values(facts: port.Facts) -> dict[str, Any]:
    """The roots of variables; what an event has not is left out, and so is missing."""
    values = facts.native.get(_NATIVE)
    if values is None:
        values = facts.native[_NATIVE] = _read(facts)
    return values


def _read(facts: port.Facts) -> dict[str, Any]:
    try:
        data = _decode(facts.data)
    except (ValueError, RecursionError) as error:
        raise Impossible(f"the event's data cannot be read: {error}") from error
    values = {
        "id": str(facts.event_id),
        "external_id": facts.external_id,
        "type": facts.event_type,
        "source": facts.source,
        "subject": facts.subject,
        "received_at": port.received_at(facts.event_id),
    }
    return {name: value for name, value in values.items() if value is not None} | {"data": data}


def _as_is(_: _Filling, value: Any) -> Any:
    return value


def _text(filling: _Filling, value: Any) -> str:
    return filling.text(value)


def _json(filling: _Filling, value: Any) -> Any:
    return filling.json(value)


def _url(filling: _Filling, value: Any) -> str:
    url = filling.line("url", value, lambda text: quote(text, safe=""))
    for message in webhooks.flaws_of_url(url):
        raise Impossible(f"url: {message}")
    return url


def _headers(filling: _Filling, value: Any) -> dict[str, str]:
    return {
        name: _header(filling, name, template)
        for name, template in cast(dict[str, str], value).items()
    }


def _header(filling: _Filling, name: str, template: str) -> str:
    text = filling.line(f"header {name}", template)
    if (message := webhooks.flaw_of_header_value(text)) is not None:
        raise Impossible(f"header {name}: {message}")
    return text


def _recipients(filling: _Filling, value: Any) -> list[str]:
    templates_of_to = cast(list[str], value) if isinstance(value, list) else [value]
    recipients = [filling.line("to", template) for template in templates_of_to]
    for recipient in recipients:
        if not action_params.is_mailbox(recipient):
            raise Impossible("to: is not one plain address with this event")
    return recipients


def _subject(filling: _Filling, value: Any) -> str:
    text = filling.line("subject", value)
    if (message := action_params.flaw_of_line(text)) is not None:
        raise Impossible(f"subject: {message}")
    return text


_FILL: dict[str, dict[str, Callable[[_Filling, Any], Any]]] = {
    "log": {"message": _text},
    "noop": {},
    "call_webhook": {"url": _url, "headers": _headers, "body": _json},
    "send_email": {"to": _recipients, "subject": _subject, "body": _text},
}

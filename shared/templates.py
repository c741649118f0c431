"""Text with variables: `{{ external_id }}`, `{{ data.customer.country }}`. Variables only: no code,
no filters, no loops. Output is bounded, and nothing here knows what the text is used for. Pure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

ROOTS = ("external_id", "id", "type", "source", "subject", "received_at", "data")
VARIABLES_MAX = 200

_OPENING = "{{"
# The inside stops at the next opening too: else each of many openings is read to the text's end.
_PLACEHOLDER = re.compile(r"\{\{((?:(?!\{\{|\}\}).)*)\}\}", re.DOTALL)
_PATH = re.compile(r"""\s*([^\s{}.|()\[\]'"]+(?:\.[^\s{}.|()\[\]'"]+)*)\s*""")
_POSITION = re.compile(r"[0-9]{1,6}")
_encode = msgspec.json.Encoder().encode


class Malformed(ValueError):
    """A template that is not taken; says why."""


class TooLarge(Exception):
    """The output would be larger than it may be."""


class Variable(msgspec.Struct, frozen=True):
    """A placeholder: the names on the way to its value."""

    path: tuple[str, ...]

    @property
    def text(self) -> str:
        return ".".join(self.path)


class Template(msgspec.Struct, frozen=True):
    """Texts and placeholders in turn."""

    parts: tuple[str | Variable, ...]

    @property
    def variables(self) -> list[Variable]:
        return [part for part in self.parts if isinstance(part, Variable)]


class Output:
    """What one rendering may still write, and which variables it did not find."""

    def __init__(self, *, bytes_max: int) -> None:
        self.bytes_left = bytes_max
        self.missing: list[str] = []

    def spend(self, size: int) -> None:
        self.bytes_left -= size
        if self.bytes_left < 0:
            raise TooLarge


def parse(text: str) -> Template:
    """Read a template. Raises Malformed."""
    parts: list[str | Variable] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        parts.extend([_literal(text[end : found.start()]), _variable(found[1])])
        end = found.end()
    parts.append(_literal(text[end:]))
    if len(parts) > 2 * VARIABLES_MAX + 1:
        raise Malformed(f"has more than {VARIABLES_MAX} variables")
    return Template(tuple(part for part in parts if part))


def _literal(text: str) -> str:
    if _OPENING in text:
        raise Malformed("opens `{{` and does not close it with `}}`")
    return text


def _variable(inner: str) -> Variable:
    path = _PATH.fullmatch(inner)
    if path is None:
        shown = inner.strip()[:60]
        raise Malformed(f"`{shown}` is no variable; templates have no code: {_KNOWN}")
    names = tuple(path[1].split("."))
    if names[0] not in ROOTS:
        raise Malformed(f"there is no variable `{names[0][:60]}`: {_KNOWN}")
    if len(names) > 1 and names[0] != "data":
        raise Malformed(f"`{names[0]}` has no members; only `data` has")
    return Variable(names)


_KNOWN = f"write one of {', '.join(ROOTS)}, or data.name.name"


def look_up(values: Mapping[str, Any], variable: Variable) -> Any:
    """The value of a variable. Raises KeyError when the event does not have it."""
    value: Any = values
    for name in variable.path:
        if isinstance(value, Mapping):
            value = cast(Mapping[str, Any], value)[name]
        elif isinstance(value, list) and _POSITION.fullmatch(name):
            entries = cast(list[Any], value)
            if int(name) >= len(entries):
                raise KeyError(name)
            value = entries[int(name)]
        else:
            raise KeyError(name)
    return value


def fill_text(
    template: Template,
    values: Mapping[str, Any],
    output: Output,
    *,
    escape: Callable[[str], str] | None = None,
) -> str:
    """The text with its variables filled in: objects as JSON, null and missing ones as nothing."""
    filled: list[str] = []
    for part in template.parts:
        piece = part
        if isinstance(part, Variable):
            piece = as_text(_found(part, values, output))
            piece = piece if escape is None else escape(piece)
        assert isinstance(piece, str)
        output.spend(len(piece.encode()))
        filled.append(piece)
    return "".join(filled)


def fill_value(template: Template, values: Mapping[str, Any], output: Output) -> Any:
    """The same for a member of a JSON document: a lone placeholder keeps its JSON type."""
    match template.parts:
        case (Variable() as only,):
            value = _found(only, values, output)
            output.spend(len(_encode(value)))
            return value
        case _:
            return fill_text(template, values, output)


def _found(variable: Variable, values: Mapping[str, Any], output: Output) -> Any:
    try:
        return look_up(values, variable)
    except KeyError:
        if variable.text not in output.missing:
            output.missing.append(variable.text)
        return None


def as_text(value: Any) -> str:
    """A JSON value as text: a string as it is, null as nothing, all else as JSON."""
    match value:
        case str():
            return value
        case None:
            return ""
        case _:
            return _encode(value).decode()

"""What every JSON body must be before a route looks at it. Pure: bytes in, values or a Problem out.

msgspec already refuses NaN, 1e400, lone surrogates, a BOM and UTF-16; here is what it lets
through, and the
translation of its messages into JSON pointers.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, cast

import msgspec

from services.api import problems

# Possessive, and an unterminated string counts as one: linear in the body, whatever somebody sends.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9]{16}")
_EXPONENT = re.compile(rb"[eE][+-]?0*([0-9]+)")
_PATH_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"(?:required|unknown) field `(?P<name>.*)`$", re.DOTALL)
_JSON = ("application/json",)
_INTEGER_MAX = 2**63 - 1
_INTEGER_MIN = -(2**63)
_POINTER_CHARACTERS_MAX = 200
# jsonb writes numbers out: seven bytes of 1e-9999 become ten thousand, in every reader's memory.
_EXPONENT_DIGITS_MAX = 3
_WRITTEN_OUT_MIN = 1_048_576
_WRITTEN_OUT_PER_BYTE = 4
_decode = msgspec.json.Decoder().decode


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a JSON value may be."""

    depth_max: int
    members_max: int


class _Doubled(msgspec.Struct, frozen=True):
    """Stands for an object that names a member twice."""

    key: str


def read_json(body: bytes, limits: Limits) -> Any:
    """Decode a body that anybody may have written, or raise the Problem that says what is wrong
    where.
    """
    if not body:
        raise _malformed("", "the body is empty: send a JSON value")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise _malformed(
                "", f"byte {error.start} of the body is not UTF-8: send UTF-8"
            ) from None
    skeleton = _STRING.sub(b"", body)
    _require_shallow(skeleton, limits.depth_max)
    member_count = skeleton.count(b":")
    if member_count > limits.members_max:
        raise _malformed(
            "", f"the body has {member_count} members; {limits.members_max} are allowed"
        )
    _require_short_numbers(skeleton, max(_WRITTEN_OUT_MIN, _WRITTEN_OUT_PER_BYTE * len(body)))
    try:
        value = _decode(body)
    except msgspec.DecodeError as error:
        raise _malformed("", f"not JSON: {error}") from None
    if member_count and _count_members(value) != member_count:
        pointer = _find_doubled(_decode_slowly(body), "")
        raise _malformed(pointer or "", "this member appears twice in its object: send it once")
    if b"\\u0000" in body or _LONG_NUMBER.search(skeleton):
        _require_portable(value, "")
    return value


def decode[T](body: bytes, kind: type[T]) -> T:
    """Decode a guarded body to a type, or raise a Problem with the pointer to the wrong place."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise from_validation(error) from None
    except msgspec.DecodeError as error:
        raise _malformed("", f"not JSON: {error}") from None


def from_validation(error: msgspec.ValidationError) -> problems.Problem:
    """Turn msgspec's message into a Problem with a JSON pointer."""
    match = _MESSAGE.match(str(error))
    assert match is not None  # the pattern takes any text
    what = match["what"]
    pointer = _pointer(match["path"] or "")
    field = _FIELD.search(what)
    if field is not None:
        pointer = f"{pointer}/{escape(field['name'][:_POINTER_CHARACTERS_MAX])}"
    return problems.at(pointer, what[:500])


def escape(member: str) -> str:
    """One step of a JSON pointer (RFC 6901)."""
    return member.replace("~", "~0").replace("/", "~1")


def require_printable(value: str, pointer: str) -> str:
    """Names travel through headers, logs and consoles: no control, zero-width or direction
    characters.
    """
    if not value.isprintable() or value != value.strip():
        raise problems.at(pointer, "may hold printable characters only, and no space at either end")
    return value


def _malformed(pointer: str, detail: str) -> problems.Problem:
    return problems.Problem(
        "malformed-json", detail, errors=[problems.Fault(pointer=pointer, detail=detail)]
    )


def _pointer(path: str) -> str:
    steps = (found[0] or found[1] for found in _PATH_STEP.findall(path.removeprefix("$")))
    return "".join(f"/{escape(step)}" for step in steps)


def _require_shallow(skeleton: bytes, depth_max: int) -> None:
    if skeleton.count(b"{") + skeleton.count(b"[") <= depth_max:
        return
    depth = 0
    for byte in skeleton:
        if byte in b"{[":
            depth += 1
            if depth > depth_max:
                raise _malformed("", f"nested deeper than {depth_max} levels")
        elif byte in b"}]":
            depth -= 1


def _require_short_numbers(skeleton: bytes, digits_max: int) -> None:
    exponents = _EXPONENT.findall(skeleton)
    if any(len(each) > _EXPONENT_DIGITS_MAX for each in exponents):
        message = "a number's exponent is beyond 999, which no double has; send it as text"
        raise _malformed("", message)
    if sum(map(int, exponents)) > digits_max:
        message = f"its numbers, written out, have more than {digits_max} digits; send them as text"
        raise _malformed("", message)


def _count_members(value: Any) -> int:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        count = len(members)
        for child in members.values():
            if isinstance(child, (dict, list)):
                count += _count_members(child)
        return count
    if isinstance(value, list):
        children = cast("list[Any]", value)
        return sum(_count_members(child) for child in children if isinstance(child, (dict, list)))
    return 0


def _decode_slowly(body: bytes) -> Any:
    def build(pairs: list[tuple[str, Any]]) -> Any:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                return _Doubled(key)
            seen[key] = value
        return seen

    return json.loads(body, object_pairs_hook=build)


def _find_doubled(value: Any, pointer: str) -> str | None:
    if isinstance(value, _Doubled):
        return f"{pointer}/{escape(value.key[:_POINTER_CHARACTERS_MAX])}"
    for step, child in _children(value):
        found = _find_doubled(child, f"{pointer}/{step}")
        if found is not None:
            return found
    return None


def _require_portable(value: Any, pointer: str) -> None:
    """No NUL (Postgres has no such character), no integer that a 64-bit reader would change."""
    if isinstance(value, str):
        if "\0" in value:
            raise _malformed(pointer, "holds a NUL character, which cannot be stored")
    elif isinstance(value, int):
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise _malformed(pointer, "this integer needs more than 64 bits: send it as a string")
    elif isinstance(value, dict):
        for key in cast("dict[str, Any]", value):
            if "\0" in key:
                raise _malformed(pointer, "a member's name holds a NUL character")
    for step, child in _children(value):
        _require_portable(child, f"{pointer}/{step}")


def _children(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return [(escape(key[:_POINTER_CHARACTERS_MAX]), child) for key, child in members.items()]
    if isinstance(value, list):
        return [(str(index), child) for index, child in enumerate(cast("list[Any]", value))]
    return []


def media_types(method: str) -> tuple[str, ...]:
    """The content types of a body that holds JSON and nothing else."""
    return (*_JSON, "application/merge-patch+json") if method.upper() == "PATCH" else _JSON


def check_content_type(content_type: str, media_types: tuple[str, ...]) -> None:
    media, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().replace('"', "")
    if media.strip() in media_types and charset in {"", "charset=utf-8"}:
        return
    raise problems.Problem(
        "unsupported-media-type",
        f"send Content-Type: {' or '.join(media_types)}",
        errors=[problems.Fault(header="Content-Type", detail=f"must be {media_types[0]}")],
    )


def require_single(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """Headers that decide what a request means appear once."""
    seen: set[bytes] = set()
    for name, _ in raw:
        single = name in _SINGLE or name.startswith(b"ce-")
        if single and name in seen:
            if name == b"authorization":
                raise problems.Problem("malformed-request", "Authorization may be sent once")
            text = name.decode("latin-1")
            raise problems.header(text[:100], "appears twice: send it once")
        seen.add(name)


_SINGLE = frozenset(
    {
        b"authorization",
        b"content-type",
        b"content-length",
        b"idempotency-key",
        b"host",
        b"origin",
        b"traceparent",
    }
)

"""The guards as properties: JSON values pass unchanged, nothing raises anything but a Problem."""

import contextlib
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api import cursors, guards, problems

LIMITS = guards.Limits(depth_max=32, members_max=1000)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
)


def _status(body: bytes) -> int:
    try:
        guards.read_json(body, LIMITS)
    except problems.Problem as problem:
        return problem.status
    return 200


@given(VALUES, st.booleans())
def test_every_json_value_passes_unchanged(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert guards.read_json(body, LIMITS) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert _status(body) in {200, 400}


@given(st.text(alphabet='{}[]":,\\u0019ae', max_size=40))
def test_anything_like_json_is_read_or_refused(text: str) -> None:
    if _status(text.encode()) == 200:
        assert guards.read_json(text.encode(), LIMITS) == json.loads(text)


@given(st.dictionaries(TEXT, SCALARS, min_size=1, max_size=5), st.data())
def test_a_doubled_member_is_found_wherever_it_is(
    members: dict[str, Any], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(members)))
    pairs = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in members.items()]
    body = "[0,{" + ",".join([*pairs, f"{json.dumps(key)}:1"]) + "}]"
    with pytest.raises(problems.Problem) as caught:
        guards.read_json(body.encode(), LIMITS)
    assert caught.value.errors[0].pointer == f"/1/{guards.escape(key)}"


@given(st.integers(1, 80))
def test_depth_is_counted_exactly(depth: int) -> None:
    body = b"[" * depth + b"]" * depth
    if depth <= LIMITS.depth_max:
        guards.read_json(body, LIMITS)
    else:
        with pytest.raises(problems.Problem):
            guards.read_json(body, LIMITS)


@given(st.uuids(), st.dictionaries(TEXT, TEXT, max_size=4))
def test_a_cursor_comes_back_as_it_went(after: UUID, filters: dict[str, str]) -> None:
    cursor = cursors.Cursor("/events", after, filters)
    text = cursors.encode(cursor)
    assert cursors.decode(text, route="/events", filters=filters) == cursor
    with pytest.raises(problems.Problem):
        cursors.decode(text, route="/orders", filters={})


@given(st.uuids(), st.integers(0, 1000), st.integers(1, 255))
def test_a_changed_cursor_is_refused(after: UUID, place: int, change: int) -> None:
    raw = bytearray(cursors.encode(cursors.Cursor("/events", after, {"type": "a"})).encode())
    raw[place % len(raw)] ^= change
    changed = raw.decode("latin-1")
    with contextlib.suppress(problems.Problem):
        # Only bits that base64 does not carry may differ.
        assert cursors.decode(changed, route="/events", filters={}).after == after


@given(st.text(max_size=200) | st.text(alphabet="ABab01-_", max_size=200))
def test_any_text_as_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(problems.Problem):
        cursors.decode(text, route="/events", filters={})


def test_many_small_numbers_and_texts_that_look_like_large_ones_are_taken() -> None:
    body = b"[" + b"3.2e-150," * 500 + b'5e-324,6.02e23,{"1e-9999":"1e-9999"}]'

    assert guards.read_json(body, LIMITS)[-2:] == [6.02e23, {"1e-9999": "1e-9999"}]

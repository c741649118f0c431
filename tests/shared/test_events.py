import json
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import events

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


def _hash(data: Any, *, event_type: str = "t", subject: str | None = None, **dump: Any) -> bytes:
    return events.payload_hash(event_type, subject, json.dumps(data, **dump).encode())


def _reordered(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return dict(reversed(cast("dict[str, Any]", value).items()))


@given(JSON_VALUES)
def test_white_space_and_key_order_do_not_change_the_hash(value: Any) -> None:
    reordered = _reordered(value)

    assert _hash(value) == _hash(reordered, indent=2)


@given(JSON_VALUES, JSON_VALUES)
def test_different_payloads_have_different_hashes(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (_hash(one) == _hash(other)) == same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("t", None), ("t", "")),
        (("ab", "c"), ("a", "bc")),
        (("t", "s"), ("u", "s")),
        (("t", "s"), ("t", "r")),
    ],
)
def test_type_and_subject_are_part_of_the_hash(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    assert events.payload_hash(*one, b"{}") != events.payload_hash(*other, b"{}")


@given(st.text(st.characters(codec="utf-8")))
def test_a_key_belongs_to_one_of_64_shards_for_ever(key: str) -> None:
    assert 0 <= events.shard_of(key) < events.SHARD_COUNT
    assert events.shard_of(key) == events.shard_of(key)


def test_the_shard_of_a_known_key_never_changes() -> None:
    # Stored rows carry their shard: another function would split a key between two relays.
    assert [events.shard_of(key) for key in ("", "a", "order-1", "ключ")] == [0, 3, 47, 26]


@given(
    event_id=st.uuids(),
    aggregate_id=TEXTS,
    event_type=TEXTS,
    seq=st.integers(1, 2**31 - 1),
    subject=st.none() | TEXTS,
    replay=st.integers(0, 2**31 - 1),
    outbox_id=st.integers(1, 2**63 - 1),
)
def test_headers_read_back_as_they_were_written(
    event_id: UUID,
    aggregate_id: str,
    event_type: str,
    seq: int,
    subject: str | None,
    replay: int,
    outbox_id: int,
) -> None:
    envelope = events.Envelope(
        event_id=event_id,
        aggregate_id=aggregate_id,
        aggregate_seq=seq,
        event_type=event_type,
        source="api",
        subject=subject,
        time="2026-01-01T00:00:00Z",
        replay=replay,
        outbox_id=outbox_id,
        traceparent="00-1-2-01",
    )

    assert events.decode_headers(events.encode_headers(envelope)) == envelope


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=40)), max_size=15))
def test_hostile_headers_are_told_and_never_raise(headers: events.Headers) -> None:
    assert isinstance(events.decode_headers(headers), events.MalformedRecord)


def test_joined_text_is_ambiguous_and_therefore_never_the_key() -> None:
    assert events.dedupe_key("a-b", "c") == events.dedupe_key("a", "b-c")
    one, other = (
        events.Envelope(
            event_id=uuid4(),
            aggregate_id=aggregate,
            aggregate_seq=1,
            event_type=event_type,
            source="api",
            subject=None,
            time="",
            replay=0,
            outbox_id=1,
            traceparent="",
        )
        for aggregate, event_type in (("a-b", "c"), ("a", "b-c"))
    )

    read = [events.decode_headers(events.encode_headers(envelope)) for envelope in (one, other)]

    assert read == [one, other]

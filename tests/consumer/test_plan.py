import random
import uuid

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.consumer import evaluation, plans, records
from shared import events
from tests.consumer import samples

NO_RULES = plans.Rules(book=evaluation.EMPTY, timeout_ms=60_000, seconds_max=1.0, rows_max=20_000)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


def test_the_first_of_two_equal_records_is_planned_and_the_second_is_a_repeat() -> None:
    sample = samples.ingested()

    planned = plans.make([sample.record_at(7), sample.record_at(9)], NO_RULES)

    assert [event.record.offset for event in planned.events] == [7]
    assert [event.record.offset for event in planned.repeats] == [9]


def test_a_forged_record_does_not_take_the_place_of_the_genuine_one() -> None:
    genuine = samples.ingested()
    forged = msgspec.structs.replace(genuine, data=b'{"amount":999999}')

    planned = plans.make([forged.record_at(0), genuine.record_at(1)], NO_RULES)

    assert {event.record.offset for event in planned.events} == {0, 1}
    assert planned.repeats == []


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_a_plan_keeps_every_record_once_and_in_key_order(
    draws: list[tuple[int, int]], rng: random.Random
) -> None:
    known = [samples.ingested(subject=f"s-{number % 2}") for number in range(5)]
    batch = [
        known[number].record_at(offset, partition=partition)
        for offset, (number, partition) in enumerate(draws)
    ]
    rng.shuffle(batch)

    planned = plans.make(batch, NO_RULES)

    places = [event.record.place for event in planned.events + planned.repeats]
    assert sorted(places) == sorted(record.place for record in batch)
    assert len(planned.events) == len({number for number, _ in draws})
    for event, following in zip(planned.events, planned.events[1:], strict=False):
        if event.key == following.key:
            assert event.record.offset < following.record.offset


def test_what_cannot_be_read_is_poison_with_its_reason() -> None:
    good = samples.ingested(subject="s").record
    cases = {
        "Tombstone": msgspec.structs.replace(good, value=None),
        "EmptyValue": msgspec.structs.replace(good, value=b""),
        "HeaderMissing": msgspec.structs.replace(good, headers=[]),
        "HeaderDoubled": msgspec.structs.replace(good, headers=[*good.headers, good.headers[0]]),
        "KeyMismatch": msgspec.structs.replace(good, key=b"other"),
        "PayloadInvalid": msgspec.structs.replace(good, value=b'{"a":'),
        "PayloadTooDeep": msgspec.structs.replace(good, value=b"[" * 100_000 + b"]" * 100_000),
        "HeaderInvalid": msgspec.structs.replace(
            good, headers=[(n, b"x\0y" if n == "ce_source" else v) for n, v in good.headers]
        ),
    }

    planned = plans.make([*cases.values(), msgspec.structs.replace(good, key=None)], NO_RULES)

    assert [poison.error_class for poison in planned.poison] == [*cases, "KeyMismatch"]
    assert planned.events == []


@given(value=st.binary(max_size=200), key=st.none() | st.binary(max_size=20))
def test_any_bytes_are_an_event_or_poison_and_never_an_exception(
    value: bytes, key: bytes | None
) -> None:
    good = samples.ingested().record

    for record in (
        msgspec.structs.replace(good, value=value),
        msgspec.structs.replace(good, value=value, key=key, headers=[("ce_id", value)]),
    ):
        assert isinstance(records.decode(record), records.Event | records.Poison)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["ce_specversion", "ce_id", "ce_type", "x-event-id", "x-replay", "x-outbox-id"]
            ),
            st.none() | st.binary(max_size=40),
        ),
        max_size=12,
    )
)
def test_hostile_headers_are_refused_with_a_reason(
    headers: list[tuple[str, bytes | None]],
) -> None:
    read = events.decode_headers(headers)  # pyright: ignore[reportArgumentType] null headers exist

    assert isinstance(read, events.MalformedRecord)
    assert read.error_class in {"HeaderMissing", "HeaderDoubled", "HeaderInvalid"}


@given(
    aggregate_id=TEXTS, event_type=TEXTS, subject=st.none() | TEXTS, seq=st.integers(0, 2**31 - 1)
)
def test_headers_come_back_as_they_were_sent(
    aggregate_id: str, event_type: str, subject: str | None, seq: int
) -> None:
    envelope = msgspec.structs.replace(
        samples.ingested().envelope,
        aggregate_id=aggregate_id,
        event_type=event_type,
        subject=subject,
        aggregate_seq=seq,
    )

    assert events.decode_headers(events.encode_headers(envelope)) == envelope


def test_a_plan_that_makes_too_many_rows_is_split_and_keeps_every_record_in_order() -> None:
    entry = evaluation.Entry(
        version_id=1, rule_id=uuid.uuid4(), version=1, shadow=False, event_type="*", condition=None
    )
    book = evaluation.Book(version=1, entries=[entry, entry, entry])
    rules = msgspec.structs.replace(NO_RULES, book=book)
    batch = [samples.ingested(n=number).record_at(number) for number in range(10)]
    planned = plans.make([*batch, batch[0], msgspec.structs.replace(batch[0], value=None)], rules)

    pieces = plans.split(planned, rows_max=6)

    assert [len(piece.events) for piece in pieces] == [2, 2, 2, 2, 2]
    assert [event for piece in pieces for event in piece.events] == planned.events
    assert [len(piece.repeats) + len(piece.poison) for piece in pieces] == [0, 0, 0, 0, 2]


def test_a_batch_whose_rules_take_too_long_ends_early_and_says_how_far_it_came() -> None:
    entry = evaluation.Entry(
        version_id=1, rule_id=uuid.uuid4(), version=1, shadow=False, event_type="*", condition=None
    )
    rules = msgspec.structs.replace(
        NO_RULES, book=evaluation.Book(version=1, entries=[entry]), rows_max=4
    )
    batch = [samples.ingested(n=number).record_at(number) for number in range(10)]

    planned = plans.make(batch, rules)

    assert planned.taken == 4
    assert {event.record.offset for event in planned.events} == {0, 1, 2, 3}

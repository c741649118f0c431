import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules import patterns

TYPES = st.text(st.sampled_from("ab.*"), min_size=1, max_size=8)


@pytest.mark.parametrize("pattern", ["payment.completed", "payment.*", "*", "a", "a.b.*", "x:y/z"])
def test_types_and_patterns_are_taken(pattern: str) -> None:
    assert patterns.check(pattern) == []


@pytest.mark.parametrize(
    "pattern", ["", "pay*", "*.completed", "a.*.b", "**", "a b", "a\n", "\u00e4", "a" * 201]
)
def test_other_patterns_are_refused_with_a_message(pattern: str) -> None:
    [flaw] = patterns.check(pattern)

    assert flaw.pointer == ""


@pytest.mark.parametrize(
    ("pattern", "event_type", "matches"),
    [
        ("payment.*", "payment.completed", True),
        ("payment.*", "payment.card.failed", True),
        ("payment.*", "payment", False),
        ("payment.*", "payments.x", False),
        ("payment.completed", "payment.completed", True),
        ("payment.completed", "payment.completed.x", False),
        ("*", "anything", True),
    ],
)
def test_a_pattern_matches_what_is_below_it(pattern: str, event_type: str, matches: bool) -> None:
    assert patterns.matches(pattern, event_type) is matches


def test_candidates_go_from_the_most_exact_to_all() -> None:
    assert patterns.candidates("a.b.c") == ["a.b.c", "a.b.*", "a.*", "*"]


@given(TYPES, TYPES)
def test_candidates_are_exactly_the_patterns_that_match(pattern: str, event_type: str) -> None:
    if not patterns.check(pattern):
        matches = patterns.matches(pattern, event_type)

        assert (pattern in patterns.candidates(event_type)) is matches
        begins = event_type.startswith(patterns.prefixes([pattern]))
        assert (pattern == event_type or begins) is matches

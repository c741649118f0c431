"""A short run of the fuzz target; longer ones by `python -m tests.fuzz.rules`."""

from tests.fuzz import rules

SECONDS = 2


def test_fuzzed_rules_are_refused_or_evaluated_within_bounds() -> None:
    fuzzer = rules.run(seconds=SECONDS, seed=4)

    assert fuzzer.seen["matched"] > 0
    assert fuzzer.seen["failed"] > 0

"""The two engines beside each other: what differs is listed, and nothing else differs."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from shared import rules
from shared.rules import port, tracing
from tests.shared.rules import culprits, differences, generated, samples

OFFICIAL = json.loads((Path(__file__).parent / "official_suite.json").read_text("utf-8"))["cases"]
REFUSED_OF_OFFICIAL = 8


@pytest.mark.parametrize("row", differences.DIFFERENCES, ids=lambda row: row.name)
def test_each_row_of_the_table_is_what_the_engines_do(row: differences.Difference) -> None:
    scope = tracing.Scope(tracing.Kind.EVENT, row.data)

    assert culprits.same(culprits.look("datalogic", row.rule, scope), row.datalogic)
    assert culprits.same(culprits.look("json-logic-qubit", row.rule, scope), row.qubit)
    assert all(row.covers(culprit) for culprit in culprits.find(row.rule, row.data))


def test_the_table_of_the_readme_is_the_present_one() -> None:
    readme = differences.README.read_text(encoding="utf-8")

    assert differences.HEADING in readme
    assert readme == differences.written(readme)


def _is_taken(rule: Any) -> bool:
    return not any(
        rules.check(rule, engine=engine, limits=samples.LIMITS) for engine in port.ENGINES
    )


def test_official_cases_give_the_official_result_in_both_engines() -> None:
    operators = [case for case in OFFICIAL if isinstance(case[0], dict)]
    taken = [case for case in operators if _is_taken(case[0])]

    for rule, data, result in taken:
        scope = tracing.Scope(tracing.Kind.EVENT, data)
        for engine in port.ENGINES:
            assert culprits.same(culprits.look(engine, rule, scope), result), (engine, rule, data)

    assert len(operators) - len(taken) == REFUSED_OF_OFFICIAL


@settings(
    max_examples=2_000,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(rule=generated.RULES)
def test_generated_rules_differ_in_listed_ways_only(rule: Any) -> None:
    if not _is_taken(rule):
        return

    for culprit in culprits.find(rule, generated.DATA):
        assert differences.covering(culprit), culprit

    outcomes = {samples.evaluated(rule, generated.DATA, engine).result for engine in port.ENGINES}
    assert len(outcomes) == 1 or culprits.find(rule, samples.facts(generated.DATA).value)

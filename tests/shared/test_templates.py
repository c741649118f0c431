import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import templates

VALUES: dict[str, Any] = {
    "id": "e-1",
    "external_id": "external-id-123",
    "data": {"amount": 12.5, "ok": True, "nothing": None, "items": [{"sku": "A"}], "o": {"x": 1}},
}


def _text(text: str, *, bytes_max: int = 1_000) -> tuple[str, list[str]]:
    output = templates.Output(bytes_max=bytes_max)
    return templates.fill_text(templates.parse(text), VALUES, output), output.missing


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("plain }} text", "plain }} text"),
        ("{{ external_id }}", "external-id-123"),
        ("{{id}}/{{ data.items.0.sku }}", "e-1/A"),
        ("{{ data.amount }} {{ data.ok }} {{ data.nothing }}", "12.5 true "),
        ("{{ data.o }}", '{"x":1}'),
        ('{"a":{"b":"{{ id }}"}}', '{"a":{"b":"e-1"}}'),
    ],
)
def test_variables_are_filled_in(text: str, filled: str) -> None:
    assert _text(text) == (filled, [])


@pytest.mark.parametrize(
    "name",
    [
        "data.unknown",
        "data.items.1",
        "data.items.-1",
        "data.items.sku",
        "data.items.999999999999",
        "data.__class__.__mro__",
        "data.amount.real",
        "subject",
    ],
)
def test_a_variable_that_is_not_there_is_empty_and_named(name: str) -> None:
    assert _text(f"<{{{{ {name} }}}}>") == ("<>", [name])


@pytest.mark.parametrize(
    "text",
    [
        "{{ unclosed",
        "{{ id }} {{",
        "{{ }}",
        "{{ env.SECRET }}",
        "{{ id.__class__ }}",
        "{{ ''.__class__ }}",
        "{{ 'a' * 300000000 }}",
        "{{ '%200000000d' }}",
        "{{ data|upper }}",
        "{{ data.a() }}",
        "{{ data['a'] }}",
        "{{ data..a }}",
        "{{ data a }}",
        "{{ {{ id }} }}",
        "{{ id }}" * (templates.VARIABLES_MAX + 1),
    ],
)
def test_everything_but_variables_is_refused(text: str) -> None:
    with pytest.raises(templates.Malformed):
        templates.parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ data.amount }}", 12.5),
        ("{{ data.o }}", {"x": 1}),
        ("{{ data.nothing }}", None),
        ("{{ data.unknown }}", None),
        (" {{ data.amount }}", " 12.5"),
    ],
)
def test_a_lone_variable_keeps_its_json_type(text: str, value: Any) -> None:
    output = templates.Output(bytes_max=1_000)

    assert templates.fill_value(templates.parse(text), VALUES, output) == value


def test_output_stops_early() -> None:
    with pytest.raises(templates.TooLarge):
        _text("{{ external_id }}" * 100, bytes_max=1_000)
    with pytest.raises(templates.TooLarge):
        templates.fill_value(templates.parse("{{ data }}"), VALUES, templates.Output(bytes_max=10))


@given(st.text(st.sampled_from("{} abdti._0|()'\n"), max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        template = templates.parse(text)
    except templates.Malformed:
        return
    assert all(variable.path[0] in templates.ROOTS for variable in template.variables)
    assert "{{" not in "".join(part for part in template.parts if isinstance(part, str))


@pytest.mark.parametrize("text", ["{{" * 32_000, "{{a" * 21_000, "{{ data." * 8_000 + "}}" * 8_000])
def test_a_text_of_openings_is_refused_in_milliseconds(text: str) -> None:
    started = time.perf_counter()

    with pytest.raises(templates.Malformed):
        templates.parse(text)

    assert time.perf_counter() - started < 0.25

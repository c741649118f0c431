"""What a rule does: shapes checked at save, templates that cannot change what they stand in."""

from typing import Any

import pytest

from shared.rules import actions, port
from tests.shared.rules import samples

URL = "https://hooks.example.com/fraud"
DATA = {
    "amount": 10001,
    "country": "BR",
    "path": "a/b?c=d&e#f \u00e9",
    "dots": "..",
    "lines": "a\r\nBcc: x@example.com",
    "mail": "ann@example.com",
    "mails": "ann@example.com, eve@example.com",
    "huge": "a" * 40_000,
    "items": [1, {"x": 2}],
    "null": None,
    "latin": "\u00e9",
}


def _read(value: Any) -> list[actions.Action]:
    return actions.read(value, limits=samples.LIMITS)


def _refused(value: Any) -> list[tuple[str, str]]:
    with pytest.raises(port.Refused) as refused:
        _read(value)
    return [(flaw.pointer, flaw.message) for flaw in refused.value.flaws]


def _pointers(value: Any) -> set[str]:
    return {pointer for pointer, _ in _refused(value)}


def _rendered(value: Any, data: Any = DATA) -> actions.Rendered:
    [action] = _read(value)
    return actions.render(action, samples.facts(data), limits=samples.LIMITS)


def _webhook(**params: Any) -> dict[str, Any]:
    return {"type": "call_webhook", "params": {"url": URL, **params}}


def test_both_spellings_are_stored_alike() -> None:
    nested = _read({"type": "call_webhook", "params": {"url": URL, "method": "PUT"}})

    assert nested == _read([{"type": "call_webhook", "url": URL, "method": "PUT"}])
    assert nested[0].params == {"url": URL, "method": "PUT"}


def test_keys_are_given_or_made_and_unique() -> None:
    given = [{"type": "log"}, {"type": "log"}, {"type": "noop", "key": "log-2"}, {"type": "log"}]

    assert [action.key for action in _read(given)] == ["log", "log-3", "log-2", "log-4"]
    assert _pointers([{"type": "log", "key": "a"}, {"type": "noop", "key": "a"}]) == {"/1/key"}
    assert _pointers({"type": "log", "key": "Not a key"}) == {"/key"}


@pytest.mark.parametrize("value", [None, [], "log", 5, [None], {}, {"type": "sms"}, {"params": {}}])
def test_what_is_no_action_is_refused(value: Any) -> None:
    assert _refused(value)


def test_there_are_at_most_ten_actions() -> None:
    assert len(_read([{"type": "log"}] * 10)) == 10
    assert "at most 10" in _refused([{"type": "log"}] * 11)[0][1]


@pytest.mark.parametrize(
    ("value", "pointers"),
    [
        ({"type": "log", "params": {"text": "a"}}, {"/params/text"}),
        ({"type": "log", "message": "a", "params": {}}, {"/message"}),
        ({"type": "log", "level": "debug"}, {"/level"}),
        ({"type": "log", "message": 5}, {"/message"}),
        ({"type": "log", "message": "{{ secret }}"}, {"/message"}),
        ({"type": "noop", "a": 1}, {"/a"}),
        ({"type": "call_webhook"}, {"/url"}),
        (_webhook(target="billing"), {"/params/url"}),
        (_webhook(method="TRACE"), {"/params/method"}),
        (_webhook(method="GET", body={}), {"/params/body"}),
        (_webhook(body={"a": [1, "{{ now() }}"]}), {"/params/body/a/1"}),
        (_webhook(body={"{{ id }}": 1}), {"/params/body/{{ id }}"}),
        (_webhook(headers={"Host": "a"}), {"/params/headers/Host"}),
        (_webhook(headers={"Webhook-Id": "a"}), {"/params/headers/Webhook-Id"}),
        (_webhook(headers={"Content-Length": "1"}), {"/params/headers/Content-Length"}),
        (_webhook(headers={"A:b": "a"}), {"/params/headers/A:b"}),
        (_webhook(headers={"A": "b\r\nC: d"}), {"/params/headers/A"}),
        (_webhook(headers={"A": 1}), {"/params/headers/A"}),
        (_webhook(headers={"A": "1", "a": "2"}), {"/params/headers"}),
        (_webhook(headers=[]), {"/params/headers"}),
        ({"type": "call_webhook", "target": ""}, {"/target"}),
        ({"type": "call_webhook", "target": "{{ data.x }}"}, {"/target"}),
        ({"type": "send_email", "to": "a", "subject": "s", "body": "b"}, {"/to"}),
        ({"type": "send_email", "to": [], "subject": "s", "body": "b"}, {"/to"}),
        (
            {"type": "send_email", "to": ["a@b.c", "x, y@b.c"], "subject": "s", "body": "b"},
            {"/to/1"},
        ),
        ({"type": "send_email", "to": "a@b.c", "subject": "s\nb", "body": "b"}, {"/subject"}),
        ({"type": "send_email", "to": "a@b.c"}, {"/subject", "/body"}),
        (
            {"type": "send_email", "to": "a@b.c", "subject": "s", "body": "b", "from": "x"},
            {"/from"},
        ),
        ({"type": "log", "message": "a\0b"}, {""}),
        ({"type": "log", "message": "a" * 70_000}, {""}),
    ],
)
def test_bad_parameters_are_refused_at_their_place(value: Any, pointers: set[str]) -> None:
    assert _pointers(value) == pointers


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "gopher://example.com",
        "javascript:alert(1)",
        "https://",
        "https://user:pass@example.com/",
        "https://example.com@evil.example/",
        "https://example.com/#fragment",
        "https://example.com#@evil.example/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:port/",
        "https://exa mple.com/",
        "https://example.com\\@evil.example/",
        "https://example.com/\r\nX: y",
        "https://example.com/\u00e9",
        "https://b\u00fccher.example/",
        "https://[::1",
        "https://example.com/a/../b",
        "https://example.com/a/%2e%2E/b",
        "https://example.com/" + "a" * 2_000,
        "{{ data.url }}",
        "https://{{ data.host }}/a",
        "https://example.com{{ data.host }}/",
        "https://example.com:{{ data.port }}/",
        "{{ data.scheme }}://example.com/",
        5,
    ],
)
def test_bad_urls_are_refused(url: Any) -> None:
    assert _pointers({"type": "call_webhook", "url": url}) == {"/url"}


def test_a_body_keeps_its_types() -> None:
    rendered = _rendered(
        _webhook(body={"n": "{{ data.amount }}", "t": "n={{ data.amount }}", "l": "{{data.items}}"})
    )

    assert rendered.params["body"] == {"n": 10001, "t": "n=10001", "l": [1, {"x": 2}]}


def test_values_in_a_url_are_encoded_and_stay_where_they_are() -> None:
    rendered = _rendered(_webhook(url=f"{URL}/{{{{ data.path }}}}?q={{{{ data.path }}}}"))

    encoded = "a%2Fb%3Fc%3Dd%26e%23f%20%C3%A9"
    assert rendered.params["url"] == f"{URL}/{encoded}?q={encoded}"
    assert "part of its path" in str(_rendered(_webhook(url=URL + "/{{ data.dots }}/x")).error)


@pytest.mark.parametrize("name", ["unknown", "null"])
def test_a_value_that_is_not_there_is_an_error_in_a_url_and_nothing_in_a_text(name: str) -> None:
    variable = f"{{{{ data.{name} }}}}"

    assert (
        _rendered(_webhook(url=f"{URL}/{variable}")).error == f"url: the event has no data.{name}"
    )
    logged = _rendered({"type": "log", "message": f"<{variable}>"})
    assert (logged.params, logged.error) == ({"message": "<>"}, None)
    assert logged.missing == (["data.unknown"] if name == "unknown" else [])


@pytest.mark.parametrize(
    "value",
    [
        _webhook(headers={"X-A": "{{ data.lines }}"}),
        _webhook(headers={"X-A": "{{ data.latin }}"}),
        {"type": "send_email", "to": "{{ data.mails }}", "subject": "s", "body": "b"},
        {"type": "send_email", "to": "{{ data.lines }}", "subject": "s", "body": "b"},
        {"type": "send_email", "to": "a@b.c", "subject": "{{ data.lines }}", "body": "b"},
        {"type": "send_email", "to": "a@b.c", "subject": "{{ data.huge }}", "body": "b"},
        {"type": "log", "message": "{{ data.huge }}{{ data.huge }}"},
        _webhook(body=["{{ data.huge }}", "{{ data.huge }}"]),
    ],
)
def test_values_cannot_inject_or_swell(value: Any) -> None:
    rendered = _rendered(value)

    assert rendered.error is not None
    assert rendered.params == {}


def test_an_email_is_rendered_to_a_list_of_addresses() -> None:
    email = {"type": "send_email", "to": "{{ data.mail }}", "subject": "{{ id }}", "body": "<b>"}

    rendered = _rendered(email)

    assert rendered.params == {
        "to": ["ann@example.com"],
        "subject": str(samples.EVENT_ID),
        "body": "<b>",
    }


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_data_that_is_not_json_is_an_error(data: bytes) -> None:
    rendered = _rendered({"type": "log", "message": "{{ data }}"}, data)

    assert "cannot be read" in str(rendered.error)


def test_huge_and_deep_actions_are_refused() -> None:
    deep: Any = 1
    for _ in range(2_000):
        deep = [deep]

    assert _pointers(_webhook(body=deep)) == {"/params"}
    assert _pointers(_webhook(body=[1] * 100_000)) == {"/params"}

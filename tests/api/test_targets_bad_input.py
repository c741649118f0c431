"""URLs, headers, bodies and templates of reliability.md section 6: refused at save with the place,
nothing stored.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from shared import webhook_secrets
from tests.api import rules, targets
from tests.api.conftest import Api
from tests.fixtures import client, stack

# What must not be called, however it is spelled.
URLS: tuple[str, ...] = (
    "file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "javascript:alert(1)",
    "//example.com/", "example.com", "", " ", "https://", "https:///x", "https://example.com:0/",
    "https://user:pass@example.com/", "https://user@example.com/", "https://example.com#@10.0.0.1/",
    "https://example.com/#x", "https://example.com\\@127.0.0.1/", "https://example.com/\r\nX-A: b",
    "https://example.com/\n", "https://exa mple.com/", "https://example.com/\x7f",
    "http://169.254.169.254/latest/meta-data/", "http://metadata.google.internal/",
    "http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://a.localhost/",
    "http://127.0.0.1/", "http://127.1/", "http://0x7f000001/", "http://0x7f.1/",
    "http://2130706433/", "http://017700000001/", "http://0/", "http://0.0.0.0/",
    "http://127.0.0.1./", "http://①②⑦.⓪.⓪.①/", "http://[::1]/", "http://[::]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fe80::1%25eth0]/",
    "http://[fe80::1]/", "http://[fc00::1]/", "http://[fec0::1]/", "http://[ff02::1]/",
    "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[5f00::1]/", "http://100.64.0.1/",
    "http://10.0.0.1/", "http://172.16.0.1/", "http://192.168.0.1/", "http://192.88.99.1/",
    "http://198.18.0.1/", "http://224.0.0.1/", "http://255.255.255.255/", "http://240.0.0.1/",
    "https://example.com:22/", "https://example.com:25/", "https://example.com:5432/",
    "https://example.com:6379/", "https://example.com:9092/", "https://example.com:65536/",
    "https://example.com:port/", "https://[::1/", f"https://{'a' * 2000}.com/",
    f"https://{'a' * 64}.com/", "https://exa\u200bmple.com/", "https://ex\u202eample.com/",
    "https://example.com/../admin", "https://example.com/%2e%2e/admin",
)  # fmt: skip
HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "line feed in a value": ({"X-A": "a\nX-B: b"}, "/headers/X-A"),
    "carriage return": ({"X-A": "a\rb"}, "/headers/X-A"),
    "not ASCII": ({"X-A": "ä"}, "/headers/X-A"),
    "a number": ({"X-A": 1}, "/headers/X-A"),
    "null": ({"X-A": None}, "/headers/X-A"),
    "too long": ({"X-A": "x" * 4001}, "/headers/X-A"),
    "line feed in a name": ({"X-A\nX-B": "b"}, "/headers/X-A\nX-B"),
    "a colon in a name": ({"X:A": "b"}, "/headers/X:A"),
    "no name": ({"": "b"}, "/headers/"),
    "a slash in a name": ({"X/A": "b"}, "/headers/X~1A"),
    "host": ({"Host": "example.com"}, "/headers/Host"),
    "content-length": ({"content-length": "3"}, "/headers/content-length"),
    "transfer-encoding": ({"Transfer-Encoding": "chunked"}, "/headers/Transfer-Encoding"),
    "the signature": ({"webhook-signature": "v1,x"}, "/headers/webhook-signature"),
    "twice": ({"X-A": "a", "x-a": "b"}, "/headers"),
    "51": ({f"X-{n}": "a" for n in range(51)}, "/headers"),
}
# name -> (changed members, where the flaws are)
BODIES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({"name": None, "url": None}, {"/name", "/url"}),
    "a control in the name": ({"name": "a\tb"}, {"/name"}),
    "direction in the name": ({"name": "\u202ea"}, {"/name"}),
    "a name of 201": ({"name": "x" * 201}, {"/name"}),
    "a name like an id": ({"name": "0198F3A0-0000-7000-8000-000000000001"}, {"/name"}),
    "a name like a bare id": ({"name": "0198f3a0000070008000000000000001"}, {"/name"}),
    "a name like a variable": ({"name": "{{ data.target }}"}, {"/name"}),
    "a variable in the URL": ({"url": "https://example.com/{{ id }}"}, {"/url"}),
    "timeout 99": ({"timeout_ms": 99}, {"/timeout_ms"}),
    "timeout 60,001": ({"timeout_ms": 60_001}, {"/timeout_ms"}),
    "timeout as a text": ({"timeout_ms": "500"}, {"/timeout_ms"}),
    "timeout as a truth": ({"timeout_ms": True}, {"/timeout_ms"}),
    "a half millisecond": ({"timeout_ms": 500.5}, {"/timeout_ms"}),
    "rate 0": ({"rate_per_second": 0}, {"/rate_per_second"}),
    "rate -1": ({"rate_per_second": -1}, {"/rate_per_second"}),
    "rate 10,001": ({"rate_per_second": 10_001}, {"/rate_per_second"}),
    "rate 2**62": ({"rate_per_second": 2**62}, {"/rate_per_second"}),
    "in flight 0": ({"in_flight_max": 0}, {"/in_flight_max"}),
    "in flight 1,001": ({"in_flight_max": 1001}, {"/in_flight_max"}),
    "what the service sets": (
        {"id": "x", "revision": 9, "disabled_at": None, "health": {}},
        {"/id", "/revision", "/disabled_at", "/health"},
    ),
    "all at once": (
        {"name": 1, "url": "x", "headers": [], "secret": 1, "timeout_ms": 0, "in_flight_max": 0,
         "rate_per_second": "1", "zz": 1},
        {"/name", "/url", "/headers", "/secret", "/timeout_ms", "/in_flight_max",
         "/rate_per_second", "/zz"},
    ),
}  # fmt: skip
SECRETS: tuple[Any, ...] = (
    1, [], "", "whsec_", "x", "whsec_!!!!", "WHSEC_" + "A" * 32, "whsec_" + "A" * 16,
    "whsec_" + "A" * 1000, "whsec_ä", "\nwhsec_" + "A" * 32, "whsec_" + "A" * 31 + "-",
)  # fmt: skip
WRONG: tuple[Any, ...] = (
    True, 0, -1, 1.5, 1e300, "", "x" * 10_000, "a\nb", "\u202ea", [], {}, [[]], {"": None},
)  # fmt: skip


@pytest.fixture(scope="module")
def api(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with targets.serving(servers, tmp_path_factory.mktemp("targets")) as serving:
        yield serving


@pytest.fixture(scope="module")
def present(api: Api) -> dict[str, Any]:
    return targets.create(api)


def places(answer: client.Answer) -> set[str]:
    assert (answer.status, answer.body["type"]) == (422, "/problems/invalid-request"), answer
    return {error["pointer"] for error in answer.body["errors"]}


def test_an_address_that_must_not_be_called_is_refused_wherever_it_is_saved(
    api: Api, present: dict[str, Any]
) -> None:
    before = targets.counts(api.database), rules.counts(api.database)
    for url in URLS:
        made = client.call(api.url, "POST", "/targets", targets.target(url=url))
        assert places(made) == {"/url"} if url else "/url" in places(made), url
        changed = client.call(api.url, "PATCH", f"/targets/{present['id']}", {"url": url})
        assert places(changed) == {"/url"}, url
        hook = {"type": "call_webhook", "params": {"url": url}}
        rule = client.call(api.url, "POST", "/rules", rules.rule(action=hook))
        assert places(rule) == {"/action/params/url"}, url
    assert (targets.counts(api.database), rules.counts(api.database)) == before


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/a?b=c",
        "https://xn--bcher-kva.example.com/",
        "https://93.184.215.14/",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        "https://example.com/%7B%7B",
    ],
)
def test_an_address_that_may_be_called_is_taken(
    api: Api, present: dict[str, Any], url: str
) -> None:
    answer = client.call(api.url, "PATCH", f"/targets/{present['id']}", {"url": url})
    assert (answer.status, answer.body["url"]) == (200, url)


@pytest.mark.parametrize(
    ("url", "flaws"),
    [
        ("http://169.254.169.254/{{ data.path }}", 1),
        ("https://{{ data.host }}/", 1),
        ("https://example.com{{ data.host }}/", 1),
        ("https://example.com/{{ ''.__class__ }}", 1),
        ("https://example.com/{{ range(1e9) }}", 1),
        ("https://example.com/{{ data.a", 1),
        ("https://example.com/{{ data.a }}?b={{ id }}", 0),
    ],
)
def test_a_template_may_fill_in_what_stands_behind_the_host(api: Api, url: str, flaws: int) -> None:
    hooks = [
        {"type": "call_webhook", "params": {"url": url}},
        {"type": "call_webhook", "url": url, "key": "flat"},
    ]
    answer = client.call(api.url, "POST", "/rules", rules.rule(actions=hooks, action=None))
    if flaws:
        assert places(answer) == {"/actions/0/params/url", "/actions/1/url"}
    else:
        assert answer.status == 201, answer


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_could_change_the_request_is_refused(
    api: Api, present: dict[str, Any], name: str
) -> None:
    headers, place = HEADERS[name]
    before = targets.counts(api.database)
    made = client.call(api.url, "POST", "/targets", targets.target(headers=headers))
    changed = client.call(api.url, "PATCH", f"/targets/{present['id']}", {"headers": headers})
    assert places(made) == places(changed) == {place}
    assert targets.counts(api.database) == before


@pytest.mark.parametrize("name", BODIES)
def test_every_flaw_of_a_target_is_told_at_once(api: Api, name: str) -> None:
    changes, expected = BODIES[name]
    kept = {key: value for key, value in targets.target().items() if key not in changes}
    given = {k: v for k, v in changes.items() if k not in {"name", "url"} or v is not None}
    before = targets.counts(api.database)
    answer = client.call(api.url, "POST", "/targets", kept | given)
    assert places(answer) == expected
    assert targets.counts(api.database) == before


@pytest.mark.parametrize("secret", SECRETS)
def test_a_bad_secret_is_named_and_never_repeated(
    api: Api, present: dict[str, Any], secret: Any
) -> None:
    before = targets.counts(api.database)
    made = client.call(api.url, "POST", "/targets", targets.target(secret=secret))
    rotated = client.call(api.url, "POST", f"/targets/{present['id']}/secrets", {"secret": secret})
    assert places(made) == places(rotated) == {"/secret"}
    assert len(str(secret)) < 16 or str(secret) not in f"{made.body}{rotated.body}"
    assert targets.counts(api.database) == before


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("secrets", {"overlap_seconds": -1}, {"/overlap_seconds"}),
        ("secrets", {"overlap_seconds": 30 * 86_400 + 1}, {"/overlap_seconds"}),
        ("secrets", {"overlap_seconds": "1 day", "x": 1}, {"/overlap_seconds", "/x"}),
        ("disable", {}, {"/reason"}),
        ("disable", {"reason": " "}, {"/reason"}),
        ("disable", {"reason": "x" * 501}, {"/reason"}),
        ("disable", [], {""}),
        ("enable", {"reason": "x"}, {""}),
    ],
)
def test_a_bad_act_on_a_target_is_refused(
    api: Api, present: dict[str, Any], path: str, body: object, expected: set[str]
) -> None:
    before = targets.counts(api.database)
    assert (
        places(client.call(api.url, "POST", f"/targets/{present['id']}/{path}", body)) == expected
    )
    assert targets.counts(api.database) == before


def test_a_patch_takes_no_secret_and_removes_only_what_can_be_left_out(
    api: Api, present: dict[str, Any]
) -> None:
    body = {"secret": webhook_secrets.make_secret(), "name": None, "url": None, "timeout_ms": None}
    answer = client.call(api.url, "PATCH", f"/targets/{present['id']}", body)
    assert places(answer) == {"/secret", "/name", "/url", "/timeout_ms"}


def test_wrong_types_everywhere_are_4xx_and_store_nothing(
    api: Api, present: dict[str, Any]
) -> None:
    members = ("name", "url", "headers", "secret", "timeout_ms", "rate_per_second", "in_flight_max")
    before = targets.counts(api.database)
    path, taken = f"/targets/{present['id']}", 0
    for member, value in itertools.product(members, WRONG):
        answer = client.call(api.url, "PATCH", path, {member: value})
        assert answer.status in {200, 422}, (member, value, answer)
        taken += answer.status == 200
    after = targets.counts(api.database)
    assert after[::2] == before[::2]
    assert after[1] - before[1] <= taken
    assert after[3] - before[3] <= taken


@pytest.mark.parametrize("target_id", ["0", "-1", "x" * 5000, "%00", "..%2ftargets", "{id}", "é"])
def test_an_id_that_is_none_is_not_found(api: Api, target_id: str) -> None:
    path = f"/targets/{target_id}" if target_id.isascii() else "/targets/%C3%A9"
    assert client.call(api.url, "GET", path).status == 404
    assert client.call(api.url, "GET", path.replace("targets", "deliveries", 1)).status == 404

"""The console's files: what is served, how it is cached, and what may run in it."""

import http.client
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.api import console_files
from tests.fixtures import client, stack

INDEX = '<script nonce="__CSP_NONCE__" type="module" src="/console/assets/a-1.js"></script>'
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with a compressed copy, and a link that leads out of it."""
    made = tmp_path_factory.mktemp("console")
    (made / "dist" / "assets").mkdir(parents=True)
    (made / "secret.txt").write_text("not for the web")
    dist = made / "dist"
    (dist / "index.html").write_text(INDEX)
    (dist / "favicon.svg").write_text("<svg/>")
    (dist / "assets" / "a-1.js").write_text("let plain")
    (dist / "assets" / "a-1.js.br").write_bytes(b"br-bytes")
    (dist / "assets" / "a-1.js.gz").write_bytes(b"gz-bytes")
    (dist / "assets" / "f-1.woff2").write_bytes(b"font")
    (dist / "assets" / "out.txt").symlink_to(made / "secret.txt")
    return dist


@pytest.fixture(scope="module")
def url(
    servers: stack.Servers, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-files.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("files")
        )
        yield system.start("api", CONSOLE_DIR=str(folder)).url
        system.stop()


def _get(url: str, path: str, method: str = "GET", **headers: str) -> client.Answer:
    return client.call(url, method, path, headers=headers)


def test_every_place_in_the_console_is_the_index_with_a_nonce_of_its_own(url: str) -> None:
    nonces: list[str] = []
    for path in ("/console/", "/console/events", "/console/events/x?status=failed&q=a.b"):
        answer = _get(url, path)
        assert answer.status == 200, path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        nonce = re.search(r'nonce="([\w-]{20,})"', answer.body.decode())
        assert nonce is not None
        assert f"style-src 'self' 'nonce-{nonce[1]}'" in policy
        nonces.append(nonce[1])
    assert len(set(nonces)) == 3


def test_nothing_foreign_may_run_and_requests_go_to_the_own_host_only(url: str) -> None:
    host = url.removeprefix("http://")

    policy = _get(url, "/console/").headers["content-security-policy"]

    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    nonce = parts.pop("style-src")
    assert re.fullmatch(r"'self' 'nonce-[\w-]+'", nonce)
    assert parts == {
        "default-src": "'none'",
        "script-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": f"'self' ws://{host} wss://{host}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


@pytest.mark.parametrize("host", [b"a b", b"a;script-src *", b"a/'", b"", b"a:1:2", b"a\r\nb"])
def test_a_host_that_is_none_is_not_in_the_policy(host: bytes) -> None:
    policy = console_files.content_security_policy(nonce="n", host=host)

    assert b"connect-src 'self';" in policy


def test_hashed_files_are_kept_for_ever_and_compressed_as_asked(url: str) -> None:
    plain = _get(url, "/console/assets/a-1.js")
    brotli = _get(url, "/console/assets/a-1.js", **{"Accept-Encoding": "gzip, deflate, br;q=0.9"})
    gzip = _get(url, "/console/assets/a-1.js", **{"Accept-Encoding": "gzip, br;q=0"})
    font = _get(url, "/console/assets/f-1.woff2", **{"Accept-Encoding": "br"})

    assert (plain.body, plain.headers.get("content-encoding")) == (b"let plain", None)
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (brotli.body, brotli.headers["content-encoding"]) == (b"br-bytes", "br")
    assert (gzip.body, gzip.headers["content-encoding"]) == (b"gz-bytes", "gzip")
    assert (font.body, font.headers["content-type"]) == (b"font", "font/woff2")
    for answer in (plain, brotli, gzip, font):
        assert answer.headers["cache-control"] == IMMUTABLE
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert plain.headers["vary"] == "accept-encoding"
    assert _get(url, "/console/favicon.svg").headers["cache-control"] == "no-cache"


def test_what_is_not_in_the_build_is_not_found(url: str) -> None:
    for path in (
        "/console/assets/gone.js",
        "/console/assets/out.txt",
        "/console/assets/../secret.txt",
        "/console/assets/%2e%2e/%2e%2e/secret.txt",
        "/console/assets/..%2f..%2fsecret.txt",
    ):
        answer = _get(url, path)
        assert answer.status == 404, path
        assert b"not for the web" not in str(answer.body).encode()
    for path in ("/console/../secret.txt", "/console//etc/passwd", "/console/%2fetc%2fpasswd"):
        assert b"__CSP_NONCE__" not in (_get(url, path).body or b"")
        assert b"nonce=" in _get(url, path).body


def test_old_and_short_addresses_lead_into_the_console(url: str) -> None:
    bare, reference = _get(url, "/console?a=1"), _get(url, "/reference")

    assert (bare.status, bare.headers["location"]) == (307, "/console/?a=1")
    assert (reference.status, reference.headers["location"]) == (307, "/console/reference")


def test_head_says_what_get_would_and_nothing_writes(url: str) -> None:
    head = _get(url, "/console/assets/a-1.js", "HEAD")

    assert (head.status, head.body, head.headers["content-length"]) == (200, None, "9")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused = _get(url, "/console/", method)
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert _get(url, "/console/", "OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"
    assert _get(url, "/consoles").status == 404


def test_each_header_is_there_once(url: str) -> None:
    for path in ("/console/", "/console/assets/a-1.js", "/", "/events"):
        names = [name for name, _ in _headers(url, path)]
        assert len(names) == len(set(names)), (path, names)


def test_a_checkout_without_a_build_says_how_to_make_one(tmp_path: Path) -> None:
    console = console_files.Console(tmp_path / "nothing")

    answer = console.answer("GET", "/console/events", b"", {})

    assert answer is not None
    assert (answer.status, b"make console" in answer.body) == (503, True)
    assert console.answer("GET", "/events", b"", {}) is None


def test_a_build_beyond_the_bounds_is_served_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_files, "FILE_BYTES_MAX", 10)
    (tmp_path / "index.html").write_text("small")
    (tmp_path / "huge.js").write_text("x" * 11)

    assert set(console_files.read_folder(tmp_path)) == {"index.html"}


def _headers(url: str, path: str) -> list[tuple[str, str]]:
    """As they came: the shared client keeps one of each."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return [(name.lower(), value) for name, value in answer.getheaders()]
    finally:
        connection.close()

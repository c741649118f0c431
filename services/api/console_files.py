"""The console's files as the api serves them: read into memory at the start, found by their exact
name, so that no path of a request ever touches the disk.

What is below /console/ and no file is a place inside the console: it gets index.html, whose nonce
is a new one each time. What was not built says how to build it.
"""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from services.api import calls, pages, problems
from shared import telemetry

FOLDER = Path(__file__).resolve().parent / "console" / "dist"
PREFIX = "/console"
REFERENCE = "/reference"
NONCE_PLACEHOLDER = b"__CSP_NONCE__"
FILES_MAX = 2000
FILE_BYTES_MAX = 16 * 1024 * 1024
TOTAL_BYTES_MAX = 128 * 1024 * 1024

_INDEX = "index.html"
_ASSETS = "assets/"
_ENCODINGS = ((b"br", ".br"), (b"gzip", ".gz"))
_METHODS = "GET, HEAD, OPTIONS"
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".ico": b"image/x-icon",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
    ".webmanifest": b"application/manifest+json",
    ".woff2": b"font/woff2",
}
_HOST = re.compile(rb"[A-Za-z0-9.\-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_log = telemetry.logger(__name__)


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A file with its compressed copies, by the name of the encoding."""

    content_type: bytes
    cache_control: bytes
    plain: bytes
    encoded: Mapping[bytes, bytes]


class Console:
    """Answers GET and HEAD of /console/** and /reference; whoever asks needs no key, because the
    files hold no data.
    """

    def __init__(self, folder: Path) -> None:
        self._assets = read_folder(folder)

    @property
    def is_built(self) -> bool:
        return _INDEX in self._assets

    def answer(
        self, method: str, path: str, query: bytes, headers: Mapping[bytes, bytes]
    ) -> calls.Answer | None:
        """None: the path is not the console's. The server leaves the body out for HEAD."""
        if path not in {PREFIX, REFERENCE} and not path.startswith(f"{PREFIX}/"):
            return None
        if method == "OPTIONS":
            return calls.Answer(status=204, body=b"", headers=[(b"allow", _METHODS.encode())])
        if method not in {"GET", "HEAD"}:
            raise problems.Problem(
                "method-not-allowed", f"{method} does not fit; allowed: {_METHODS}", allow=_METHODS
            )
        if path == PREFIX:
            return _redirect(f"{PREFIX}/", query)
        if path == REFERENCE:
            return _redirect(f"{PREFIX}/reference", query)
        return self._file(path.removeprefix(f"{PREFIX}/"), headers)

    def _file(self, name: str, headers: Mapping[bytes, bytes]) -> calls.Answer:
        asset = self._assets.get(name)
        if asset is not None and name != _INDEX:
            return _send(asset, headers.get(b"accept-encoding", b""))
        if name.startswith(_ASSETS):
            raise problems.Problem("not-found", "the console has no such file: reload the page")
        index = self._assets.get(_INDEX)
        return _NOT_BUILT if index is None else _send_index(index, headers.get(b"host", b""))


def open_console(configured: str) -> Console:
    """The console of CONSOLE_DIR, else the one that was built beside the code."""
    console = Console(Path(configured) if configured else FOLDER)
    if not console.is_built:
        _log.warning("the console is not built: run `make console`")
    return console


def read_folder(folder: Path) -> dict[str, Asset]:
    """Every regular file by its name below the folder; links are not followed. Copies that end in
    .br or .gz belong to the file beside them.
    """
    contents: dict[str, bytes] = {}
    total = 0
    for parent, _, names in os.walk(folder, followlinks=False):
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_symlink() or not path.is_file():
                continue
            size = path.stat().st_size
            total += size
            if size > FILE_BYTES_MAX or total > TOTAL_BYTES_MAX or len(contents) >= FILES_MAX:
                _log.error("a file of the console is left out: too large or too many", file=name)
                continue
            contents[path.relative_to(folder).as_posix()] = path.read_bytes()
    return {
        name: _asset(name, body, contents)
        for name, body in contents.items()
        if not _is_copy(name, contents)
    }


def content_security_policy(*, nonce: str, host: bytes) -> bytes:
    """Scripts and styles of our own only; requests and the socket to the host that was asked."""
    connect = "'self'"
    if _HOST.fullmatch(host):
        name = host.decode("ascii")
        connect += f" ws://{name} wss://{name}"
    return (
        "default-src 'none'; script-src 'self'; "
        f"style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; font-src 'self'; "
        f"connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


def accepted_encodings(header: bytes) -> set[bytes]:
    """What Accept-Encoding names and does not refuse by q=0."""
    found: set[bytes] = set()
    for part in header.lower().split(b","):
        name, _, weight = part.partition(b";")
        refused = weight.replace(b" ", b"").rstrip(b"0") in {b"q=", b"q=0."}
        if not refused:
            found.add(name.strip())
    return found


def _asset(name: str, body: bytes, contents: Mapping[str, bytes]) -> Asset:
    hashed = name.startswith(_ASSETS)
    return Asset(
        content_type=_TYPES.get(Path(name).suffix, b"application/octet-stream"),
        cache_control=b"public, max-age=31536000, immutable" if hashed else b"no-cache",
        plain=body,
        encoded={
            encoding: contents[name + suffix]
            for encoding, suffix in _ENCODINGS
            if name + suffix in contents
        },
    )


def _is_copy(name: str, contents: Mapping[str, bytes]) -> bool:
    return any(
        name.endswith(suffix) and name.removesuffix(suffix) in contents for _, suffix in _ENCODINGS
    )


def _send(asset: Asset, accept_encoding: bytes) -> calls.Answer:
    body = asset.plain
    headers = [(b"content-type", asset.content_type), (b"cache-control", asset.cache_control)]
    if asset.encoded:
        headers.append((b"vary", b"accept-encoding"))
        accepted = accepted_encodings(accept_encoding)
        for encoding, _ in _ENCODINGS:
            if encoding in accepted and encoding in asset.encoded:
                body = asset.encoded[encoding]
                headers.append((b"content-encoding", encoding))
                break
    return calls.Answer(status=200, body=body, headers=headers)


def _send_index(index: Asset, host: bytes) -> calls.Answer:
    nonce = secrets.token_urlsafe(16)
    return calls.Answer(
        status=200,
        body=index.plain.replace(NONCE_PLACEHOLDER, nonce.encode()),
        headers=[
            (b"content-type", index.content_type),
            (b"cache-control", b"no-cache"),
            (b"content-security-policy", content_security_policy(nonce=nonce, host=host)),
        ],
    )


def _redirect(place: str, query: bytes) -> calls.Answer:
    location = place.encode() + (b"?" + query if query else b"")
    return calls.Answer(status=307, body=b"", headers=[(b"location", location)])


_NOT_BUILT = calls.Answer(
    status=503,
    body=f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Oncely: the console is not built</title>
<style>{pages.STYLE}</style>
</head>
<body>
<main>
<h1>The console is not built</h1>
<p class="lead">The api runs, and everything else it answers works. Build the console once, then
start the api again:</p>
<pre>make console</pre>
<p><a href="/">Back to the start page</a></p>
</main>
</body>
</html>
""".encode(),
    headers=[(b"content-type", _TYPES[".html"])],
)

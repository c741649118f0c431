"""What a webhook's address and headers may look like; read at save and again after rendering.

Which addresses may be called (private networks, metadata services) is decided where a name is
resolved and connected to, not here.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from shared import egress

URL_CHARACTERS_MAX = 2_000
HEADERS_MAX = 50
HEADER_CHARACTERS_MAX = 4_000
METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")

_PORT_MAX = 65_535
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_FIELD = re.compile(r"[\t\x20-\x7e]*")
_ADDRESS = re.compile(r"[\x21-\x5b\x5d-\x7e]+")
# Scheme and host are written out; what a template may fill in begins after the host.
_FIXED = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^/?#{}]+[/?]")
# Set by the sender or meant for one connection only (RFC 9110, 7.6.1).
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def flaws_of_template(url: str, opening: str) -> Iterator[str]:
    """What is wrong with where a URL has its variables."""
    if opening in url and not _FIXED.match(url.split(opening, 1)[0]):
        yield "scheme and host must be written out: a variable may only stand behind them"


def flaws_of_url(url: str) -> Iterator[str]:
    """What is wrong with a URL that has no variables any more."""
    if len(url) > URL_CHARACTERS_MAX:
        yield f"has {len(url)} characters; at most {URL_CHARACTERS_MAX}"
        return
    if not _ADDRESS.fullmatch(url):
        yield "must be ASCII without spaces, control characters and backslashes: percent-encode"
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        yield f"is no URL: {error}"
        return
    if parts.scheme not in {"http", "https"}:
        yield "must begin with https:// or http://"
    if not parts.hostname:
        yield "has no host"
    if "@" in parts.netloc:
        yield "has a user name: put credentials into a header or a target"
    if "#" in url:
        yield "has a fragment (#...), which is never sent"
    if port is not None and not 0 < port <= _PORT_MAX:
        yield f"has the port {port}; 1 to {_PORT_MAX}"
    if {".", ".."} & {
        segment.replace("%2e", ".").replace("%2E", ".") for segment in parts.path.split("/")
    }:
        yield "has `.` or `..` as a part of its path"


def flaws_of_header_name(name: str) -> Iterator[str]:
    lowered = name.lower()
    if not _TOKEN.fullmatch(name):
        yield "is no header name: letters, digits and dashes"
    elif lowered in _RESERVED or egress.refusal_of_header(name, "") is not None:
        yield "is set by the sender and cannot be set by a rule"


def flaw_of_header_value(value: str) -> str | None:
    if not _FIELD.fullmatch(value):
        return "has a line break, a control character or one that is not ASCII"
    if value != value.strip():
        return "begins or ends with a space"
    if len(value) > HEADER_CHARACTERS_MAX:
        return f"has {len(value)} characters; at most {HEADER_CHARACTERS_MAX}"
    return None

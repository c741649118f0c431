"""What every answer says in its headers, but where it says otherwise itself."""

from collections.abc import Iterable

from services.api import pages

type Headers = list[tuple[bytes, bytes]]

ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    # The landing page has one style of its own, known by its hash; nothing else may load or run.
    (
        b"content-security-policy",
        f"default-src 'none'; style-src '{pages.STYLE_HASH}'; frame-ancestors 'none'".encode(),
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


def complete(own: Iterable[tuple[bytes, bytes]]) -> Headers:
    """An answer's own headers and the others: each once, and its own win."""
    given = list(own)
    names = {name for name, _ in given}
    return [*given, *(pair for pair in ALWAYS if pair[0] not in names)]

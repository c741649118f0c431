"""Whether something may be sent where a rule or a target says, asked when that is saved. What
counts is asked again by the dispatcher, for the address that it connects to.
"""

import asyncio
from urllib.parse import urlsplit

from shared import egress

RESOLVE_SECONDS = 2.0

_OPENING = "{{"
_HTTPS, _HTTP = 443, 80


async def refusals(urls: list[str], networks: egress.Networks) -> list[str | None]:
    """Of each URL why it may not be called, or None. Together they take RESOLVE_SECONDS at most.

    A name that does not resolve, or not in time, passes: it may be there tomorrow.
    """
    return list(await asyncio.gather(*(_refusal(url, networks) for url in urls)))


async def _refusal(url: str, networks: egress.Networks) -> str | None:
    # A template has its host written out before its first variable: that part is a URL too.
    fixed = url.split(_OPENING, 1)[0]
    spelled = egress.refusal_of_url(fixed, networks)
    if spelled is not None:
        return spelled
    parts = urlsplit(fixed)
    assert parts.hostname is not None  # refusal_of_url has looked
    port = parts.port or (_HTTPS if parts.scheme == "https" else _HTTP)
    return await egress.check_resolved(parts.hostname, port, networks, RESOLVE_SECONDS)

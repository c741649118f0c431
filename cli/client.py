"""HTTP client of the commands: one request, one answer, problems as readable errors."""

import asyncio
import os
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import aiohttp
import msgspec

from cli import output
from cli.stack import paths, services, state

TIMEOUT_SECONDS = 15.0
BODY_BYTES_MAX = 32 * 1024 * 1024
FIRST_ERROR_STATUS = 400
UNAUTHENTICATED = 401
PAGE_ROWS_MAX = 200


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Status and decoded body."""

    status: int
    body: Any


class Refused(output.Failure):
    """The api answered with a problem: its status and members, for who can do something with it."""

    def __init__(self, message: str, *, status: int, problem: dict[str, Any]) -> None:
        super().__init__(message, output.Exit.REFUSED)
        self.status = status
        self.problem = problem


def base_url(given: str | None = None, data_dir: Path | None = None) -> str:
    """Return `--url`, ONCELY_URL, the running stack's api, or the default port."""
    chosen = given or os.environ.get("ONCELY_URL")
    if chosen:
        return chosen.rstrip("/")
    current = state.running(paths.data_dir(data_dir))
    if current is not None and current.api_url is not None:
        return current.api_url
    return f"http://127.0.0.1:{services.API_PORT}"


def request(
    method: str,
    path: str,
    *,
    url: str | None = None,
    params: dict[str, str] | None = None,
    json: object = None,
    if_match: int | None = None,
) -> Answer:
    """Send one request; raises Refused with the problem's own words, Failure without an answer.

    if_match is the revision that was read: what was changed since is refused, not overwritten.
    """
    headers = {"Accept": "application/json"}
    if if_match is not None:
        headers["If-Match"] = f'"{if_match}"'
    return asyncio.run(
        _request(method, base_url(url) + path, params=params, json=json, headers=headers)
    )


def listed(
    path: str, member: str, *, url: str | None, params: dict[str, str], limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of a list, page by page up to a limit; a cursor when there are more."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {**params, "limit": str(min(limit - len(rows), PAGE_ROWS_MAX))}
        asked |= {} if cursor is None else {"cursor": cursor}
        body = members(request("GET", path, url=url, params=asked).body)
        page = [members(row) for row in items(body.get(member))]
        rows += page
        cursor = body.get("next_cursor")
        if cursor is None or not page or len(rows) >= limit:
            return rows, cursor


def segment(text: str) -> str:
    """A text of the user as one part of a path."""
    return quote(text, safe="")


def authorization() -> dict[str, str]:
    """The header with the key in ONCELY_API_KEY; none without one."""
    key = os.environ.get("ONCELY_API_KEY", "").strip()
    if not key:
        return {}
    if not key.isascii() or not key.isprintable():
        raise output.Failure("ONCELY_API_KEY: not a key, as it has other than printable ASCII")
    return {"Authorization": f"Bearer {key}"}


async def _request(
    method: str,
    url: str,
    *,
    params: dict[str, str] | None,
    json: object,
    headers: dict[str, str],
) -> Answer:
    headers |= authorization()
    data = None
    if json is not None:
        headers["Content-Type"] = "application/json"
        data = msgspec.json.encode(json)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        async with (
            # Else a POST without a body goes as application/octet-stream, which the api refuses.
            aiohttp.ClientSession(
                timeout=timeout, trust_env=False, skip_auto_headers=["Content-Type"]
            ) as session,
            session.request(
                method, url, params=params, data=data, headers=headers, allow_redirects=False
            ) as response,
        ):
            body = await response.content.read(BODY_BYTES_MAX)
            status = response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        message = f"the api at {url} does not answer ({reason}); is `oncely up` running?"
        raise output.Failure(message, output.Exit.NOT_RUNNING) from error
    return _decode(method, url, status, body)


def _decode(method: str, url: str, status: int, body: bytes) -> Answer:
    try:
        decoded = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        decoded = body.decode(errors="replace")
    if status >= FIRST_ERROR_STATUS:
        message = f"{method} {url}: {status} {_problem(decoded)}"
        if status == UNAUTHENTICATED:
            message += "; the command sends the key in ONCELY_API_KEY"
        raise Refused(message, status=status, problem=members(decoded))
    return Answer(status=status, body=decoded)


def members(value: Any) -> dict[str, Any]:
    """Return a JSON object's members; anything else has none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return a JSON array, or the first array in a page object, whatever it is called."""
    if isinstance(value, list):
        return cast("list[Any]", value)
    for member in members(value).values():
        if isinstance(member, list):
            return cast("list[Any]", member)
    return []


def _problem(body: Any) -> str:
    """Flatten RFC 9457 into one line."""
    problem = members(body)
    faults = items(problem.get("errors"))
    told = [members(fault).get("detail") for fault in faults]
    words = [
        str(problem[name])
        for name in ("title", "detail")
        if problem.get(name) and problem[name] not in told
    ]
    words += [_fault(each) for each in faults]
    return ": ".join(words) or str(body)[:500]


def _fault(fault: Any) -> str:
    """One of a problem's errors: where, and how to mend it."""
    named = members(fault)
    where = [str(named[name]) for name in ("pointer", "parameter", "header") if named.get(name)]
    return ": ".join([*where, str(named.get("detail", fault))])

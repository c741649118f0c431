"""Sends one webhook and tells what was learned: the outcome, the phases, the answer's beginning.

Never follows a redirect, never reads a proxy variable, unpacks nothing, keeps no cookie.
"""

import asyncio
import functools
import re
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from yarl import URL

from services.consumer.dispatcher import addresses, outgoing, phases, signing
from shared import clock, egress

METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
USER_AGENT = "oncely/1"
# What is read so that the connection can be used again; a longer body costs the connection.
BODY_READ_BYTES_MAX = 65_536
# The status has decided by then; a slow body must not hold the place of another delivery.
BODY_SECONDS_MAX = 2.0
HEAD_KEPT_BYTES_MAX = 8192
BODY_KEPT_BYTES_MAX = 4096
MESSAGE_LENGTH_MAX = 500
RETRY_AFTER_SECONDS_MAX = 10_000_000.0
URLS_REMEMBERED_MAX = 2048
HEADER_LINE_BYTES_MAX = 32_768

_GONE = 410
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2060-\u2069\ufeff]")


class WebhookSender:
    """One session for all targets. Made inside the running loop, which it belongs to."""

    def __init__(
        self,
        *,
        allowed: egress.Networks,
        connections_max: int,
        ca_file: str = "",
        lookup: addresses.Lookup | None = None,
    ) -> None:
        # Pure, and most deliveries go to few URLs: judging one again costs as much as signing it.
        self._refusal_of_url: Callable[[str], str | None] = functools.lru_cache(
            URLS_REMEMBERED_MAX
        )(functools.partial(egress.refusal_of_url, allowed=allowed))
        self._system_lookup = addresses.SystemLookup()
        self._session = aiohttp.ClientSession(
            connector=addresses.connector(
                allowed,
                lookup=lookup or self._system_lookup,
                tls=phases.tls_context(ca_file),
                connections_max=connections_max,
            ),
            request_class=phases.Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # What is not unpacked cannot be a bomb.
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),  # One deadline, in send.
            read_bufsize=BODY_READ_BYTES_MAX,
            max_line_size=HEADER_LINE_BYTES_MAX,
            max_field_size=HEADER_LINE_BYTES_MAX,
        )

    async def send(self, webhook: outgoing.Webhook) -> outgoing.Answer:
        noted = phases.Progress()
        token = phases.progress.set(noted)
        try:
            return self._refused(webhook) or await self._exchange(webhook, noted)
        except Exception as error:  # noqa: BLE001 the one place where errors become answers
            return _answer_of(error, noted)
        finally:
            phases.progress.reset(token)

    async def aclose(self) -> None:
        await self._session.close()
        self._system_lookup.close()

    def _refused(self, webhook: outgoing.Webhook) -> outgoing.Answer | None:
        """What the text tells, before anything is resolved; templates may have made any of it."""
        why = self._refusal_of_url(webhook.url)
        if why is not None:
            return _refusal("AddressRefused", f"the URL is refused: {why}")
        if webhook.method not in METHODS:
            return _refusal("RequestRefused", f"the method is none of {', '.join(METHODS)}")
        flaws = (egress.refusal_of_header(*header) for header in webhook.headers.items())
        flaw = next(filter(None, flaws), None)
        return _refusal("RequestRefused", f"a header is refused: {flaw}") if flaw else None

    async def _exchange(self, webhook: outgoing.Webhook, noted: phases.Progress) -> outgoing.Answer:
        response = None
        body = bytearray()
        try:
            async with asyncio.timeout(webhook.timeout_seconds) as deadline:
                response = await self._session.request(
                    webhook.method,
                    # Escapes stay as they are: a receiver may have signed them.
                    URL(webhook.url, encoded=webhook.url.isascii()),
                    data=webhook.body or None,
                    headers=_headers(webhook),
                    allow_redirects=False,
                )
                noted.head_at = time.perf_counter()
                await _read_beginning(response, body, deadline)
        except (TimeoutError, aiohttp.ClientError, OSError):
            # Once a status is there, it is the answer, whatever becomes of the body.
            if response is None:
                raise
        finally:
            if response is not None and not response.content.is_eof():
                response.close()
        assert response is not None
        return _answer(response, bytes(body), noted)


def _headers(webhook: outgoing.Webhook) -> dict[str, str]:
    timestamp = int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "accept": "*/*",
    }
    for name, value in webhook.headers.items():
        headers[name.lower()] = value
    webhook_id = str(webhook.delivery_id)
    headers["accept-encoding"] = "identity"
    headers["webhook-id"] = webhook_id
    headers["webhook-timestamp"] = str(timestamp)
    headers["traceparent"] = webhook.traceparent
    signature = signing.signatures(
        webhook.secrets, webhook_id=webhook_id, timestamp=timestamp, body=webhook.body
    )
    if signature is not None:
        headers["webhook-signature"] = signature
    return headers


async def _read_beginning(
    response: aiohttp.ClientResponse, body: bytearray, deadline: asyncio.Timeout
) -> None:
    """Read to the end, if it is near, into `body` as far as it is kept."""
    content = response.content
    if content.is_eof():
        body += content.read_nowait(BODY_KEPT_BYTES_MAX)
        return
    now = asyncio.get_running_loop().time()
    deadline.reschedule(min(deadline.when() or now, now + BODY_SECONDS_MAX))
    seen = 0
    while seen < BODY_READ_BYTES_MAX:
        chunk = await content.readany()
        if not chunk:
            return
        body += chunk[: BODY_KEPT_BYTES_MAX - len(body)]
        seen += len(chunk)


def _answer(
    response: aiohttp.ClientResponse, body: bytes, noted: phases.Progress
) -> outgoing.Answer:
    status = response.status
    told: dict[str, Any] = {
        "status_code": status,
        "address": noted.address,
        "phases": noted.phases(),
        "response_head": _head(response),
        "response_body": _kept_body(response, body),
    }
    if 200 <= status < 300:  # noqa: PLR2004 the statuses that confirm
        return outgoing.Answer(outcome="confirmed", **told)
    return outgoing.Answer(
        outcome="failed",
        error_class="Gone" if status == _GONE else "HttpStatus",
        error_message=_status_message(response),
        retry_after_seconds=_retry_after(response.headers.get("retry-after"), clock.now()),
        gone=status == _GONE,
        **told,
    )


def _status_message(response: aiohttp.ClientResponse) -> str:
    message = f"answered {response.status} {response.reason or ''}".rstrip()
    if 300 <= response.status < 400:  # noqa: PLR2004 the redirects
        where = response.headers.get("location", "nowhere")
        message += f" to {where}: redirects are not followed, set the URL to where it leads"
    return _printable(message)[:MESSAGE_LENGTH_MAX]


def _answer_of(error: Exception, noted: phases.Progress) -> outgoing.Answer:
    """Turn what went wrong into what is known: before the request left it surely did not arrive."""
    error_class, message = _named(error, noted)
    return outgoing.Answer(
        outcome="failed" if noted.sent_at is None else "unknown",
        error_class=error_class,
        error_message=_printable(message)[:MESSAGE_LENGTH_MAX],
        address=noted.address,
        phases=noted.phases(),
        permanent=noted.sent_at is None and isinstance(error, aiohttp.InvalidURL),
    )


def _named(error: Exception, noted: phases.Progress) -> tuple[str, str]:
    if noted.sent_at is not None:
        return _named_after_sending(error)
    if noted.refused is not None:
        return "AddressRefused", noted.refused
    match error:
        case TimeoutError():
            return "ConnectTimeout", f"no connection in time: {_waited_for(noted)}"
        case aiohttp.InvalidURL():
            return "AddressRefused", f"the URL is refused: {error}"
        case aiohttp.ClientConnectorError():
            return _named_without_connection(error, noted)
        case _:
            return "SendError", f"{type(error).__name__}: {error}"


def _named_without_connection(
    error: aiohttp.ClientConnectorError, noted: phases.Progress
) -> tuple[str, str]:
    cause: OSError = error.os_error
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "DnsError", f"the name does not resolve: {cause.strerror or cause}"
        case aiohttp.ClientConnectorCertificateError():
            return "TlsError", f"the certificate is refused: {error.certificate_error}"
        case _ if noted.tls_at is not None:
            return "TlsError", f"TLS did not come about: {cause}"
        case _ if isinstance(cause, ConnectionRefusedError):
            return "ConnectRefused", "nobody listens there"
        case _:
            return "ConnectError", f"no connection: {cause}"


def _named_after_sending(error: Exception) -> tuple[str, str]:
    match error:
        case TimeoutError():
            return "Timeout", "sent, and no answer in time"
        case aiohttp.ClientResponseError():
            why = " ".join(error.message.split())
            return "BadResponse", f"sent, and the answer is not HTTP: {why[:200]}"
        case aiohttp.ClientError() | OSError():
            return "ConnectionLost", f"sent, and the connection broke before an answer: {error}"
        case _:
            return "SendError", f"sent, then {type(error).__name__}: {error}"


def _waited_for(noted: phases.Progress) -> str:
    if noted.tls_at is not None:
        return "TLS was not done"
    return "the address does not answer" if noted.connect_at is not None else "DNS did not answer"


def _refusal(error_class: str, message: str) -> outgoing.Answer:
    return outgoing.Answer(
        outcome="failed",
        error_class=error_class,
        error_message=_printable(message)[:MESSAGE_LENGTH_MAX],
        permanent=True,
    )


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds, or an HTTP date; what is neither counts as not said."""
    if value is None:
        return None
    value = value.strip()
    if value.isdecimal() and value.isascii():
        return min(float(value[:20]), RETRY_AFTER_SECONDS_MAX)
    try:
        seconds = (parsedate_to_datetime(value) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


def _head(response: aiohttp.ClientResponse) -> str:
    version = response.version or aiohttp.HttpVersion11
    first = f"HTTP/{version.major}.{version.minor} {response.status} {response.reason or ''}\n"
    lines = b"\n".join(name + b": " + value for name, value in response.raw_headers)
    return _text(first.encode(errors="replace") + lines, HEAD_KEPT_BYTES_MAX)


def _kept_body(response: aiohttp.ClientResponse, body: bytes) -> str:
    packed = response.headers.get("content-encoding", "identity").lower()
    if packed != "identity":
        return _printable(f"({packed[:20]}, not unpacked)")
    return _text(body, BODY_KEPT_BYTES_MAX)


def _text(data: bytes, bytes_max: int) -> str:
    """Text that a database, a terminal and a page can show; a mark for each byte that is none may
    be longer than the byte, so the bound is applied to what comes out.
    """
    text = _printable(data[:bytes_max].decode(errors="replace"))
    return text.encode()[:bytes_max].decode(errors="ignore")


def _printable(text: str) -> str:
    text = text.replace("\r\n", "\n")
    return _UNPRINTABLE.sub("\ufffd", text) if _UNPRINTABLE.search(text) else text

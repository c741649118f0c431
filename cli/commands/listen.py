"""`oncely listen`: a receiver of webhooks for first steps.

It checks each signature, prints what came and answers; it keeps nothing. Not for production.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from cli import output
from cli.stack import local_secrets, paths

BODY_BYTES_MAX = 1024 * 1024
SHOWN_CHARACTERS_MAX = 4000
# Older ones are called new again: a receiver of first steps runs for minutes.
IDS_MAX = 10_000
TOLERANCE_SECONDS = 300
STATUSES = range(200, 600)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One request as `--json` prints it, a line each."""

    webhook_id: str
    times_seen: int
    signature: str
    method: str
    path: str
    answered: int
    body: str


def listen(
    *,
    port: int = 9009,
    secret: str | None = None,
    status: int = 200,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Receive webhooks on this machine: check each signature, print what came, answer.

    Parameters
    ----------
    port
        Port on the loopback address.
    secret
        Secret that signs (whsec_...); default that of the data folder, which signs for plain URLs.
    status
        What to answer; 503 shows how a delivery is retried under the same id.
    data
        Data folder; default ONCELY_DATA_DIR or .oncely here.
    json
        Print one JSON object a line.
    """
    if status not in STATUSES:
        raise output.Failure("--status takes 200 to 599", output.Exit.USAGE)
    receiver = Receiver(_key(secret, paths.data_dir(data)), status=status, json=json)
    try:
        asyncio.run(_serve(receiver, port))
    except OSError as error:
        message = f"cannot listen on port {port}: {error.strerror}; choose another with --port"
        raise output.Failure(message) from error
    return output.Exit.OK


class Receiver:
    """Counts how often each id came: a retry is the same id again, and here that can be seen."""

    def __init__(self, key: bytes | None, *, status: int, json: bool) -> None:
        self._key = key
        self._status = status
        self._json = json
        self._seen: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.Response:
        """Take one request."""
        body = await request.read()
        webhook_id = request.headers.get("webhook-id", "")
        if len(self._seen) >= IDS_MAX:
            self._seen.clear()
        self._seen[webhook_id] += 1
        signature = verdict(self._key, request.headers, body, now=time.time())
        answered = self._status if signature in {"valid", "not checked"} else 401
        self._show(
            Webhook(
                webhook_id=webhook_id,
                times_seen=self._seen[webhook_id],
                signature=signature,
                method=request.method,
                path=request.path_qs,
                answered=answered,
                body=body.decode(errors="replace"),
            )
        )
        return web.Response(status=answered)

    def _show(self, webhook: Webhook) -> None:
        if self._json:
            print(output.json_text(webhook), flush=True)
            return
        again = f" (seen {webhook.times_seen} times)" if webhook.times_seen > 1 else ""
        output.console.print(
            f"{time.strftime('%H:%M:%S')} {output.safe(webhook.method)} {output.safe(webhook.path)}"
            f"  webhook-id {output.safe(webhook.webhook_id or 'missing')}{again}"
            f"  signature {webhook.signature}, answered {webhook.answered}"
        )
        output.console.print(f"  {output.safe(webhook.body[:SHOWN_CHARACTERS_MAX])}")


def verdict(key: bytes | None, headers: Mapping[str, str], body: bytes, *, now: float) -> str:
    """Check one request by the rules of Standard Webhooks."""
    if key is None:
        return "not checked"
    webhook_id, timestamp, signatures = (
        headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
    )
    if not signatures:
        return "missing"
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return "too old"
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    # Several, with a blank between, while a secret is being replaced.
    found = [each.encode() for each in signatures.split(" ")]
    return "valid" if any(hmac.compare_digest(wanted, each) for each in found) else "WRONG"


def _key(secret: str | None, folder: Path) -> bytes | None:
    if secret is None:
        made = local_secrets.read(folder)
        if made is None:
            output.console.print("no --secret and no stack here: signatures are not checked")
            return None
        secret = made.webhook_secret
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        message = "--secret is not whsec_ and base64"
        raise output.Failure(message, output.Exit.USAGE) from None


async def _serve(receiver: Receiver, port: int) -> None:
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        output.console.print(f"listening on http://127.0.0.1:{port}/ until Ctrl-C")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()

"""`oncely events tail`: what is committed, live, over GET /ws; a line for each update.

It connects again when the api restarts and goes on where it was; what it could not hear it says.
"""

import asyncio
import random
import sys
from typing import Annotated, Any

import aiohttp
import msgspec
from cyclopts import Parameter

from cli import client, output

KINDS = ("event",)
SILENT_SECONDS_MAX = 45.0  # three heartbeats
PAUSE_SECONDS_MAX = 5.0
FRAME_BYTES_MAX = 1024 * 1024
UNAUTHENTICATED = 401
SERVER_ERRORS = 500
_REFUSED = frozenset({1003, 1007, 1008, 1009})
_COLOURS = {
    "confirmed": "green",
    "dead_letter": "red",
    "failed": "red",
    "processed": "green",
    "unknown": "yellow",
}


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever the api sends; what a frame does not have stays empty."""

    type: str
    seq: int = 0
    stream: str = ""
    reason: str = ""
    updates: list[dict[str, Any]] = []
    omitted: list[dict[str, Any]] = []


class _Tail:
    """Where it is, across connections."""

    def __init__(self, subscription: dict[str, Any], *, count: int | None, json: bool) -> None:
        self._subscription = subscription
        self._left = count
        self._json = json
        self._place: dict[str, Any] = {}
        self._stream = ""
        self.connected = False

    async def watch(self, session: aiohttp.ClientSession, url: str) -> bool:
        """One connection to its end; True when everything that was asked for is shown."""
        async with session.ws_connect(
            f"{url}/ws",
            headers=client.authorization(),
            autoping=True,
            max_msg_size=FRAME_BYTES_MAX,
        ) as socket:
            self.connected = True
            asked = {"type": "subscribe", "subscriptions": [self._subscription], **self._place}
            await socket.send_str(msgspec.json.encode(asked).decode())
            while True:
                message = await socket.receive(SILENT_SECONDS_MAX)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                if self._take(msgspec.json.decode(message.data, type=Frame)):
                    return True
            if socket.close_code in _REFUSED:
                raise output.Failure(f"the api ended it: {message.extra}", output.Exit.REFUSED)
        return False

    def _take(self, frame: Frame) -> bool:
        if frame.type == "hello":
            self._stream = frame.stream
            return False
        self._place = {"stream": self._stream, "last_seq": frame.seq}
        if frame.type == "gap":
            output.errors.print(f"[yellow]some were missed: {output.safe(frame.reason)}[/]")
        for update in frame.updates:
            self._show(update)
            if self._left is not None:
                self._left -= 1
                if self._left <= 0:
                    return True
        for more in frame.omitted:
            named = " ".join(str(more.get(name) or "") for name in ("kind", "status", "event_type"))
            text = f"and {more.get('count')} more: {named}"
            output.errors.print(f"[dim]{output.safe(text)}[/]")
        return False

    def _show(self, update: dict[str, Any]) -> None:
        if self._json:
            sys.stdout.write(output.json_text(update) + "\n")
            sys.stdout.flush()
            return
        status = output.safe(update.get("status"))
        colour = _COLOURS.get(str(update.get("status")))
        shown = f"[{colour}]{status:<10}[/]" if colour else f"{status:<10}"
        kind, id_, type_ = (output.safe(update.get(name) or "") for name in _SHOWN)
        output.console.print(f"{kind:<8} {shown} {id_} [dim]{type_}[/]")


def tail(
    *,
    kind: Annotated[list[str] | None, Parameter(name="--kind")] = None,
    type_: Annotated[list[str] | None, Parameter(name="--type")] = None,
    status: Annotated[list[str] | None, Parameter(name="--status")] = None,
    count: int | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Watch what happens to events, live, until Ctrl-C.

    Parameters
    ----------
    kind
        event (default), delivery, dead_letter, rule, ...; once for each.
    type_
        Event type or pattern (`payment.*`); once for each.
    status
        Only this status, e.g. failed; once for each.
    count
        End after so many updates.
    url
        Address of the api.
    json
        Print a line of JSON for each update.
    """
    wished = {"kinds": kind or list(KINDS), "event_types": type_, "statuses": status}
    subscription = {name: values for name, values in wished.items() if values}
    watching = _Tail(subscription, count=count, json=json)
    return asyncio.run(_watch(watching, client.base_url(url)))


async def _watch(watching: _Tail, url: str) -> int:
    pause = 0.5
    async with aiohttp.ClientSession(trust_env=False) as session:
        while True:
            try:
                if await watching.watch(session, url):
                    return output.Exit.OK
                pause = 0.5
            except aiohttp.WSServerHandshakeError as error:
                if error.status < SERVER_ERRORS:
                    hint = "; the command sends the key in ONCELY_API_KEY"
                    message = f"GET {url}/ws: {error.status} {error.message}"
                    message += hint if error.status == UNAUTHENTICATED else ""
                    raise output.Failure(message, output.Exit.REFUSED) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if not watching.connected:
                    reason = str(error) or type(error).__name__
                    message = f"the api at {url} does not answer ({reason})"
                    raise output.Failure(message, output.Exit.NOT_RUNNING) from error
            output.errors.print("[dim]the connection is lost: connecting again[/]")
            # Not all at the same moment when an api restarts.
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 jitter, not a secret
            pause = min(pause * 2, PAUSE_SECONDS_MAX)


_SHOWN = ("kind", "id", "event_type")

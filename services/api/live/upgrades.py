"""Who may watch: the key of an upgrade, and the answer to one that is refused."""

from collections.abc import Callable
from typing import Any

from litestar import Response, get
from litestar.types import Send

from services.api import access, answer_headers, calls, pages, problems

PATH = "/ws"
# Browsers cannot send Authorization with an upgrade: a subprotocol carries the key.
_BEARER = "oncely.bearer."


@get(PATH, tags=["live"], summary="Watch what is committed, as a WebSocket")
async def get_ws() -> Response[bytes]:
    """Without an upgrade there is nothing to see."""
    problem = problems.Problem(
        "upgrade-required", "open a WebSocket: the frames are in /openapi.json, LiveServerFrame"
    )
    return Response(
        problem.body(),
        status_code=problem.status,
        media_type=problems.CONTENT_TYPE,
        headers={"upgrade": "websocket"},
    )


def admission(
    scope: Any, headers: dict[bytes, bytes], gate: access.Gate
) -> Callable[[], access.Caller]:
    """Raise the problem of an upgrade that is refused, else say how to ask again whether its caller
    still may.
    """
    authorization = headers.get(b"authorization") or _key_of(scope["subprotocols"])

    def admit() -> access.Caller:
        given = {} if authorization is None else {b"authorization": authorization}
        return gate.admit_request("GET", scope["path"], given)

    admit()
    if scope["path"] != PATH:
        raise problems.Problem("not-found", f"WebSockets are opened at {PATH} only")
    pages.read_query(scope["query_string"], allowed=frozenset())
    return admit


async def refuse(send: Send, answer: calls.Answer) -> None:
    """Before the upgrade: a plain answer of HTTP, which the server closes the connection after."""
    length = (b"content-length", b"%d" % len(answer.body))
    start: Any = {
        "type": "websocket.http.response.start",
        "status": answer.status,
        "headers": [*answer_headers.complete(answer.headers), length],
    }
    body: Any = {"type": "websocket.http.response.body", "body": answer.body, "more_body": False}
    await send(start)
    await send(body)


def _key_of(subprotocols: list[str]) -> bytes | None:
    for name in subprotocols:
        if name.startswith(_BEARER):
            return b"Bearer " + name.removeprefix(_BEARER).encode()
    return None

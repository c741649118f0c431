"""Every request's first and last steps: bounds, origin, body, the commands themselves, headers,
metrics.

Writes are answered here without Litestar (35 against 80 us each); everything else goes on to
Litestar with its
body read and checked. Whatever goes wrong below becomes a problem here.
"""

import asyncio
from time import perf_counter
from typing import Any
from urllib.parse import unquote

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from services.api import (
    access,
    answer_headers,
    calls,
    console_files,
    fates,
    guards,
    metrics,
    problem_kinds,
    problems,
    routing,
    streaming,
)
from services.api.live import changes, sockets, upgrades
from services.api.rules import bodies as rule_bodies
from services.api.settings import ApiSettings

# Litestar's Scope is a union of typed dicts that pyright cannot index by one key.
type HttpScope = Any
type Headers = answer_headers.Headers

_TARGET_CHARACTERS_MAX = 8000
_ENCODED_SLASH = b"%2F"
# Only for who sends slowly: who sends too much must be able to read that, and its rest is dropped.
_CLOSE = (b"connection", b"close")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_UNMATCHED = "unmatched"


class Front:
    """The ASGI application that the server runs."""

    def __init__(
        self,
        *,
        inner: ASGIApp,
        routes: routing.Routes,
        read_methods: dict[str, set[str]],
        resources: calls.Resources,
        gate: access.Gate,
        console: console_files.Console,
        watchers: sockets.Sockets,
        request_metrics: metrics.RequestMetrics,
    ) -> None:
        self._inner = inner
        self._routes = routes
        self._read_methods = read_methods
        self._resources = resources
        self._gate = gate
        self._console = console
        self._watchers = watchers
        self._settings = resources.settings
        self._metrics = request_metrics
        self._limits = limits_of(resources.settings)
        self._rule_limits = rule_bodies.json_limits(resources.settings)
        self._cors = resources.settings.cors_origin.encode()
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind: str = scope["type"]
        if kind == "http":
            await self._answer(scope, receive, send)
        elif kind == "websocket":
            await self._upgrade(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _upgrade(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        """A watcher of GET /ws; whatever is refused is refused before the upgrade."""
        scope["method"] = "GET"
        try:
            headers = self._check_head(scope)
            if (origin := headers.get(b"origin")) is not None:
                self._check_origin(origin, headers.get(b"host", b""))
            admit = upgrades.admission(scope, headers, self._gate)
        except Exception as error:  # noqa: BLE001 as in _run
            answer = calls.problem_answer(fates.fate_at(fates.Stage.CHECKING, error))
            self._metrics.record(upgrades.PATH, answer.status, 0.0)
            await upgrades.refuse(send, answer)
            return
        self._metrics.record(upgrades.PATH, 101, 0.0)
        await self._watchers.serve(scope, receive, send, admit=admit)

    async def _answer(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        if _ENCODED_SLASH in scope["raw_path"].upper():
            scope["path"] = _routable(scope["raw_path"])
        by_method, target_id = self._routes.find(scope["path"])
        command = by_method.get(scope["method"])
        extra = self._cors_headers(scope) if self._cors else []
        if extra and scope["method"] == "OPTIONS":
            # A browser asks before it writes; the headers are the answer, whatever the path.
            await _send(send, calls.Answer(status=204, body=b""), extra)
            return
        if by_method and scope["method"] == "OPTIONS":
            allow = [(b"allow", ", ".join(self._allowed(scope, by_method)).encode())]
            await _send(send, calls.Answer(status=204, body=b"", headers=allow), extra)
            return
        self._running += 1
        try:
            if command is None:
                status, route = await self._read(scope, receive, send, by_method, extra)
            else:
                status, route = await self._run(command, target_id, scope, receive, send, extra)
        finally:
            self._running -= 1
        self._metrics.record(route, status, perf_counter() - started)

    async def _run(  # noqa: PLR0917 ASGI passes three of them side by side
        self,
        command: calls.Command,
        target_id: str,
        scope: HttpScope,
        receive: Receive,
        send: Send,
        extra: Headers,
    ) -> tuple[int, str]:
        """Answer a write."""
        stage = fates.Stage.READING
        try:
            headers = self._check_head(scope)
            caller = self._gate.admit_command(command.method, command.path, headers)
            async with asyncio.timeout(self._settings.body_seconds) as bound:
                body = await self._read_body(receive, headers, large=command.large_body)
                stage = fates.Stage.CHECKING
                bound.reschedule(_now() + self._settings.request_seconds)
                self._check_body(headers, body, command.media_types, self._limits)
                stage = fates.Stage.RUNNING
                call = calls.Call(
                    method=command.method,
                    target_id=target_id,
                    query=scope["query_string"],
                    headers=headers,
                    body=body,
                    caller=caller,
                    host=scope["client"][0] if scope["client"] else None,
                )
                answer = await command.run(call, self._resources)
        except Exception as error:  # noqa: BLE001 the one place where a write's error becomes an answer
            answer = calls.problem_answer(fates.fate_at(stage, error))
            if answer.status == _TOO_SLOW:
                answer.headers.append(_CLOSE)
        changes.announce_answer(
            self._resources.announcer, scope, command.path, answer.status, answer.headers
        )
        await _send(send, answer, extra)
        return answer.status, command.path

    async def _read(
        self,
        scope: HttpScope,
        receive: Receive,
        send: Send,
        by_method: dict[str, calls.Command],
        extra: Headers,
    ) -> tuple[int, str]:
        """Hand a request to Litestar, with its body checked and every answer's headers added."""
        status = 0
        stage = fates.Stage.READING

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                template = str(scope.get("path_template") or _UNMATCHED)
                told = self._resources.announcer
                changes.announce_answer(told, scope, template, status, message["headers"])
                message["headers"] = [*answer_headers.complete(message["headers"]), *extra]
            await send(message)

        try:
            headers = self._check_head(scope)
            page = self._console.answer(
                scope["method"], scope["path"], scope["query_string"], headers
            )
            if page is not None:
                await _send(send, page, extra)
                return page.status, console_files.PREFIX
            scope["user"] = self._gate.admit_request(scope["method"], scope["path"], headers)
            self._check_method(scope, by_method)
            async with asyncio.timeout(self._settings.body_seconds) as bound:
                body = b""
                if scope["method"] not in _READS:
                    body = await self._read_body(receive, headers, large=False)
                    deep = scope["path"].startswith("/rules")
                    self._check_body(
                        headers,
                        body,
                        guards.media_types(scope["method"]),
                        self._rule_limits if deep else self._limits,
                    )
                # A write that Litestar answers may be at its commit when time runs out.
                stage = fates.Stage.CHECKING if scope["method"] in _READS else fates.Stage.RUNNING
                bound.reschedule(_now() + self._settings.request_seconds)
                with streaming.Streaming(bound) as scope["streaming"]:
                    await self._inner(scope, _replay(body, receive), send_on)
        except Exception as error:
            if status:
                # The answer is under way and its client does not take it: the server closes.
                raise
            answer = calls.problem_answer(fates.fate_at(stage, error))
            if answer.status == _TOO_SLOW:
                answer.headers.append(_CLOSE)
            await _send(send, answer, extra)
            status = answer.status
        template = scope.get("path_template") if status != _NOT_FOUND else None
        return status, str(template or _UNMATCHED)

    def _check_head(self, scope: HttpScope) -> dict[bytes, bytes]:
        if self._running > self._settings.requests_max:
            raise problems.Problem(
                "queue-full", "too many requests are under way", retry_after_seconds=1
            )
        raw = scope["headers"]
        if len(raw) > self._settings.header_count_max:
            raise problems.Problem("head-too-large", f"{len(raw)} headers are too many")
        if len(scope["raw_path"]) + len(scope["query_string"]) > _TARGET_CHARACTERS_MAX:
            raise problems.Problem("target-too-long", "path and query are too long")
        headers = dict(raw)
        if len(headers) != len(raw):
            guards.require_single(raw)
        origin = headers.get(b"origin")
        if origin is not None and scope["method"] not in _READS:
            self._check_origin(origin, headers.get(b"host", b""))
        return headers

    def _check_origin(self, origin: bytes, host: bytes) -> None:
        """Without cookies a form post from a foreign page still reaches a service on loopback."""
        own = origin.partition(b"://")[2] == host
        if not own and (not self._cors or origin != self._cors):
            raise problems.Problem(
                "origin-not-allowed",
                "a page of this origin may not write here",
                errors=[problems.Fault(header="Origin", detail="set CORS_ORIGIN to allow one")],
            )

    def _check_method(self, scope: HttpScope, by_method: dict[str, calls.Command]) -> None:
        if by_method and scope["method"] not in self._read_methods.get(_bare(scope), set()):
            allow = ", ".join(self._allowed(scope, by_method))
            raise problems.Problem(
                "method-not-allowed",
                f"{scope['method']} does not fit; allowed: {allow}",
                allow=allow,
            )

    def _allowed(self, scope: HttpScope, by_method: dict[str, calls.Command]) -> list[str]:
        reads = self._read_methods.get(_bare(scope), set())
        return sorted({"OPTIONS"} | reads | set(by_method))

    def _check_body(
        self,
        headers: dict[bytes, bytes],
        body: bytes,
        media_types: tuple[str, ...],
        limits: guards.Limits,
    ) -> None:
        if b"content-encoding" in headers:
            raise problems.Problem(
                "unsupported-media-type", "content encodings are not taken: send the body as it is"
            )
        if not body and b"content-type" not in headers:
            return
        guards.check_content_type(headers.get(b"content-type", b"").decode("latin-1"), media_types)
        if body:
            guards.read_json(body, limits)

    async def _read_body(
        self, receive: Receive, headers: dict[bytes, bytes], *, large: bool
    ) -> bytes:
        maximum = self._settings.batch_body_bytes_max if large else self._settings.body_bytes_max
        declared = headers.get(b"content-length", b"0")
        if len(declared) > len(str(maximum)) or int(declared) > maximum:
            raise _too_large(maximum)
        message: Any = await _receive(receive)
        body: bytes = message["body"]
        if message["more_body"]:
            body = await _read_rest(receive, body, maximum)
        if len(body) > maximum:
            raise _too_large(maximum)
        return body

    def _cors_headers(self, scope: HttpScope) -> Headers:
        for name, value in scope["headers"]:
            if name == b"origin" and value == self._cors:
                return [
                    (b"access-control-allow-origin", self._cors),
                    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE"),
                    (
                        b"access-control-allow-headers",
                        b"authorization, content-type, idempotency-key, if-match, traceparent",
                    ),
                    (
                        b"access-control-expose-headers",
                        b"location, etag, idempotent-replayed, retry-after, www-authenticate",
                    ),
                    (b"vary", b"origin"),
                ]
        return [(b"vary", b"origin")]


def limits_of(settings: ApiSettings) -> guards.Limits:
    return guards.Limits(depth_max=settings.json_depth_max, members_max=settings.json_members_max)


async def _read_rest(receive: Receive, first: bytes, maximum: int) -> bytes:
    parts = bytearray(first)
    while len(parts) <= maximum:
        message = await _receive(receive)
        parts += message["body"]
        if not message["more_body"]:
            break
    return bytes(parts)


def _bare(scope: HttpScope) -> str:
    return scope["path"].rstrip("/") or "/"


def _now() -> float:
    return asyncio.get_running_loop().time()


def _routable(raw_path: bytes) -> str:
    """The decoded path, where a slash inside a segment stays inside it.

    It stands as U+FFFD, which no route and no UUID has; whoever takes any text reads the raw path.
    """
    return "/".join(
        unquote(part).replace("/", "\ufffd") for part in raw_path.decode("ascii").split("/")
    )


async def _receive(receive: Receive) -> Any:
    message: Any = await receive()
    if message["type"] == "http.disconnect":
        raise fates.Disconnected
    return message


def _too_large(maximum: int) -> problems.Problem:
    return problems.Problem("body-too-large", f"the body may have {maximum} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give Litestar the body that was read already."""
    given = False

    async def receive_again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def _send(send: Send, answer: calls.Answer, extra: Headers) -> None:
    start: Any = {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [
            *answer_headers.complete(answer.headers),
            (b"content-length", b"%d" % len(answer.body)),
            *extra,
        ],
    }
    finish: Any = {"type": "http.response.body", "body": answer.body, "more_body": False}
    await send(start)
    await send(finish)


_TOO_SLOW = problem_kinds.KINDS["body-too-slow"].status
_NOT_FOUND = problem_kinds.KINDS["not-found"].status

"""/health/live, /health/ready and /metrics on a side port, for the services that are loops.

Live means that the loop turns; ready means that work moves. The loop reports, this room only
serves.
"""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

import msgspec

from shared import faults, telemetry

_SOCKET_SECONDS = 5.0


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of /health/ready: ready, or why not, and what a person wants to see beside it."""

    ready: bool
    reasons: list[str] = []
    detail: dict[str, Any] = {}


class Heartbeat:
    """Beaten by a loop on every turn; a loop that is silent for too long is not alive."""

    def __init__(self, *, silent_seconds_max: float) -> None:
        self._silent_seconds_max = silent_seconds_max
        self._last = time.monotonic()

    def beat(self) -> None:
        self._last = time.monotonic()

    @property
    def alive(self) -> bool:
        return time.monotonic() - self._last < self._silent_seconds_max


class HealthServer:
    """Serves the probes from its own thread until it is closed. Port 0 takes any free one."""

    def __init__(
        self, *, host: str, port: int, alive: Callable[[], bool], readiness: Callable[[], Readiness]
    ) -> None:
        self._server = _Server((host, port), _Handler)
        self._server.alive = alive
        self._server.readiness = readiness
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    alive: Callable[[], bool]
    readiness: Callable[[], Readiness]


class _Handler(BaseHTTPRequestHandler):
    timeout = _SOCKET_SECONDS
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] the base class names a wider type

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/health/live":
                alive = self.server.alive()
                self._answer(
                    200 if alive else 503, msgspec.json.encode({"live": alive}), "application/json"
                )
            case "/health/ready":
                state = self.server.readiness()
                state = msgspec.structs.replace(state, detail=state.detail | faults.health())
                self._answer(
                    200 if state.ready else 503, msgspec.json.encode(state), "application/json"
                )
            case "/metrics":
                body, content_type = telemetry.render_metrics()
                self._answer(200, body, content_type)
            case _:
                self._answer(
                    404,
                    b'{"title":"Not found: try /health/live, /health/ready or /metrics"}',
                    "application/problem+json",
                )

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every second; they are not news."""

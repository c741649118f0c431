"""Who calls and what he may do: the scopes, the scope of every route, and the check of both before
a request's body is read. Pure; the keys themselves are in keyring.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from services.api import problems

type Scope = Literal[
    "admin",
    "dead-letters:write",
    "deliveries:read",
    "deliveries:write",
    "event-types:write",
    "events:read",
    "events:write",
    "faults",
    "metrics:read",
    "orders:read",
    "orders:write",
    "replay",
    "replay:force",
    "rules:read",
    "rules:write",
    "targets:write",
]
type Public = Literal["public"]
# Whoever has a key that is in force, whatever its scopes.
type AnyKey = Literal["any key"]
type Connection = ASGIConnection[Any, Any, Any, Any]

SCOPES: Mapping[Scope, str] = {
    "orders:read": "see orders",
    "orders:write": "create, pay, cancel and refund orders",
    "events:read": "see events, event types, attempts, dead letters and replays",
    "events:write": "send events",
    "event-types:write": "set schema, topic, retries and retention of event types",
    "rules:read": "see rules, backtests and the values they looked at; test conditions",
    "rules:write": "change, publish and backtest rules",
    "deliveries:read": "see deliveries, what was answered, and targets",
    "deliveries:write": "retry and resolve deliveries",
    "targets:write": "change where deliveries go, and their secrets",
    "dead-letters:write": "redrive and discard dead letters",
    "replay": "replay events, without sending anything twice",
    "replay:force": "send again what was sent (besides replay)",
    "metrics:read": "read /metrics",
    "faults": "break things on purpose, where faults are enabled",
    "admin": "everything, and API keys: who makes keys can give himself any scope",
}

# Path -> method -> scope. What is missing here needs admin, and a contract test names it.
ROUTES: Mapping[str, Mapping[str, Scope | Public | AnyKey]] = {
    "/": {"GET": "public", "POST": "faults"},
    "/backtests/{backtest_id}": {"GET": "rules:read"},
    "/backtests/{backtest_id}/cancel": {"POST": "rules:write"},
    "/backtests/{backtest_id}/events/{event_id}": {"GET": "rules:read"},
    "/backtests/{backtest_id}/examples": {"GET": "rules:read"},
    "/dead-letters": {"GET": "events:read"},
    "/dead-letters/discard": {"POST": "dead-letters:write"},
    "/dead-letters/redrive": {"POST": "dead-letters:write"},
    "/dead-letters/stats": {"GET": "events:read"},
    "/dead-letters/{letter_id}": {"GET": "events:read"},
    "/dead-letters/{letter_id}/discard": {"POST": "dead-letters:write"},
    "/dead-letters/{letter_id}/redrive": {"POST": "dead-letters:write"},
    "/deliveries": {"GET": "deliveries:read"},
    "/deliveries/stats": {"GET": "deliveries:read"},
    "/deliveries/{delivery_id}": {"GET": "deliveries:read"},
    "/deliveries/{delivery_id}/resolve": {"POST": "deliveries:write"},
    "/deliveries/{delivery_id}/retry": {"POST": "deliveries:write"},
    "/event-types": {"GET": "events:read"},
    "/event-types/{event_type}": {
        "GET": "events:read",
        "PUT": "event-types:write",
        "DELETE": "event-types:write",
    },
    "/events": {"GET": "events:read", "POST": "events:write"},
    "/events/batch": {"POST": "events:write"},
    "/events/export": {"GET": "events:read"},
    "/events/facets": {"GET": "events:read"},
    "/events/stats": {"GET": "events:read"},
    "/events/{event_id}": {"GET": "events:read"},
    "/events/{event_id}/attempts": {"GET": "events:read"},
    "/events/{event_id}/receipts": {"GET": "events:read"},
    "/events/{event_id}/replay": {"POST": "replay"},
    "/events/{event_id}/replays": {"GET": "events:read"},
    "/events/{event_id}/replays/{replay}": {"GET": "events:read"},
    "/events/{event_id}/timeline": {"GET": "events:read"},
    "/faults": {"GET": "faults", "POST": "faults", "DELETE": "faults"},
    "/health/live": {"GET": "public"},
    "/health/ready": {"GET": "public"},
    "/invariants": {"GET": "events:read"},
    "/keys": {"GET": "admin", "POST": "admin"},
    "/keys/{key_id}": {"DELETE": "admin"},
    # It tells what is behind the api, on the port that everybody reaches: Prometheus has a key too.
    "/metrics": {"GET": "metrics:read"},
    "/openapi.json": {"GET": "public"},
    "/orders": {"GET": "orders:read", "POST": "orders:write"},
    "/orders/seed": {"POST": "orders:write"},
    "/orders/{order_id}": {"GET": "orders:read"},
    "/orders/{order_id}/cancel": {"POST": "orders:write"},
    "/orders/{order_id}/pay": {"POST": "orders:write"},
    "/orders/{order_id}/refund": {"POST": "orders:write"},
    "/overview": {"GET": "events:read"},
    "/problems": {"GET": "public"},
    "/problems/{slug}": {"GET": "public"},
    "/replays": {"GET": "events:read", "POST": "replay"},
    "/replays/preview": {"POST": "replay"},
    "/replays/{job_id}": {"GET": "events:read", "PATCH": "replay"},
    "/replays/{job_id}/cancel": {"POST": "replay"},
    "/replays/{job_id}/events": {"GET": "events:read"},
    "/replays/{job_id}/pause": {"POST": "replay"},
    "/replays/{job_id}/resume": {"POST": "replay"},
    "/rules": {"GET": "rules:read", "POST": "rules:write"},
    "/rules/live": {"GET": "rules:read"},
    "/rules/operators": {"GET": "rules:read"},
    "/rules/schema": {"GET": "rules:read"},
    "/rules/test": {"POST": "rules:read"},
    "/rules/{rule_id}": {
        "GET": "rules:read",
        "PUT": "rules:write",
        "PATCH": "rules:write",
        "DELETE": "rules:write",
    },
    "/rules/{rule_id}/backtests": {"GET": "rules:read", "POST": "rules:write"},
    "/rules/{rule_id}/executions": {"GET": "rules:read"},
    "/rules/{rule_id}/restore": {"POST": "rules:write"},
    "/rules/{rule_id}/shadow": {"GET": "rules:read"},
    "/rules/{rule_id}/versions": {"GET": "rules:read", "POST": "rules:write"},
    "/rules/{rule_id}/versions/{version}": {"GET": "rules:read"},
    "/rules/{rule_id}/versions/{version}/diff": {"GET": "rules:read"},
    "/rules/{rule_id}/versions/{version}/publish": {"POST": "rules:write"},
    "/rules/{rule_id}/versions/{version}/resume": {"POST": "rules:write"},
    "/rules/{rule_id}/versions/{version}/retire": {"POST": "rules:write"},
    "/rules/{rule_id}/versions/{version}/shadow": {"POST": "rules:write"},
    "/session": {"GET": "any key"},
    "/targets": {"GET": "deliveries:read", "POST": "targets:write"},
    "/targets/{target_id}": {
        "GET": "deliveries:read",
        "PATCH": "targets:write",
        "DELETE": "targets:write",
    },
    "/targets/{target_id}/disable": {"POST": "targets:write"},
    "/targets/{target_id}/enable": {"POST": "targets:write"},
    "/targets/{target_id}/secrets": {"POST": "targets:write"},
    "/ws": {"GET": "events:read"},
}


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sent a request, as far as rights go. An empty name: nobody said who he is."""

    name: str
    scopes: frozenset[Scope]
    key_id: UUID | None = None
    expires_at: datetime | None = None

    def require(self, scope: Scope) -> None:
        """Raise scope-missing; for what depends on the body, e.g. `replay:force`."""
        if scope not in self.scopes:
            raise problems.Problem(
                "scope-missing",
                f"this needs a key with the scope {scope}",
                challenge=f'Bearer error="insufficient_scope", scope="{scope}"',
                scope=scope,
            )

    def require_for(self, needed: Scope | AnyKey) -> None:
        if needed != "any key":
            self.require(needed)

    def actor(self, host: str | None) -> str:
        """How the audit log names who acts."""
        return f"key:{self.name}" if self.name else f"anonymous@{host or 'unknown'}"


EVERY_SCOPE: frozenset[Scope] = frozenset(SCOPES)
# AUTH_MODE=none: whoever reaches the api may do everything.
ANONYMOUS = Caller(name="", scopes=EVERY_SCOPE)
# On a public route nobody is asked who he is, and nobody may do more than the route does.
NOBODY = Caller(name="", scopes=frozenset())


class Gate:
    """Says who sent a request and whether he may, by its head alone."""

    def __init__(
        self, *, find: Callable[[bytes], Caller] | None, routes: Mapping[str, Iterable[str]]
    ) -> None:
        """find: Authorization -> caller, or a Problem; None for AUTH_MODE=none. routes: which
        methods each path that Litestar answers takes.
        """
        self._find = find
        self._methods = {path: frozenset(methods) for path, methods in routes.items()}
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], str]]] = {}
        for path in sorted(routes, key=lambda path: path.count("{")):
            steps = path.strip("/").split("/")
            self._by_shape.setdefault((steps[0], len(steps)), []).append((steps, path))

    def admit_command(self, method: str, path: str, headers: dict[bytes, bytes]) -> Caller:
        """Take a command's own path, with its placeholders."""
        if self._find is None:
            return ANONYMOUS
        caller = self._identify(self._find, headers)
        needed = needed_for(method, path)
        assert needed != "public"  # no command is
        caller.require_for(needed)
        return caller

    def admit_request(self, method: str, path: str, headers: dict[bytes, bytes]) -> Caller:
        """What has no route, or not with this method, needs a key but no scope: it becomes a 404 or
        a 405. Should the way through the routes ever be another than Litestar's, then `guard` finds
        it: this check is the early one.
        """
        if self._find is None:
            return ANONYMOUS
        template = self._template(path)
        known = template is not None and method in self._methods[template]
        needed = needed_for(method, template) if template is not None and known else None
        if needed == "public" or method == "OPTIONS":
            return NOBODY
        caller = self._identify(self._find, headers)
        if needed is not None:
            caller.require_for(needed)
        return caller

    def _identify(self, find: Callable[[bytes], Caller], headers: dict[bytes, bytes]) -> Caller:
        # Taken out, so that no line of a log can ever show it.
        value = headers.pop(b"authorization", None)
        if value is None:
            raise problems.Problem(
                "unauthenticated",
                "send an API key: Authorization: Bearer onc_...",
                errors=[problems.Fault(header="Authorization", detail="is missing")],
                challenge="Bearer",
            )
        return find(value)

    def _template(self, path: str) -> str | None:
        parts = path.strip("/").split("/")
        for steps, template in self._by_shape.get((parts[0], len(parts)), ()):
            if all(
                step == part or step.startswith("{")
                for step, part in zip(steps, parts, strict=True)
            ):
                return template
        return None


def needed_for(method: str, template: str) -> Scope | Public | AnyKey:
    """The scope of a route."""
    return ROUTES.get(template, {}).get(method, "admin")


def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
    """The check that counts for what Litestar answers: by the route that it has found."""
    scope: Any = connection.scope
    needed = needed_for(scope["method"], scope["path_template"])
    if needed != "public" and scope["method"] != "OPTIONS":
        caller(connection).require_for(needed)


def caller(connection: Connection) -> Caller:
    """Who sent a request; the front has found it out."""
    scope: Any = connection.scope
    found: Caller = scope["user"]
    return found


def require(connection: Connection, scope: Scope) -> None:
    """Raise scope-missing unless the caller has it: for what a route's own scope does not say."""
    caller(connection).require(scope)


def actor(connection: Connection) -> str:
    """Who acts, for the audit log: key:<name>, or anonymous@<address>."""
    return caller(connection).actor(connection.client.host if connection.client else None)


def refused() -> problems.Problem:
    """One answer for whatever is wrong with a key: its sender learns nothing about other keys."""
    return problems.Problem(
        "unauthenticated",
        "this is not an API key that is in force: it is unknown, revoked or expired",
        errors=[problems.Fault(header="Authorization", detail="must be Bearer and a valid key")],
        challenge='Bearer error="invalid_token"',
    )


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Put scheme and scopes into an OpenAPI document."""
    scopes = "".join(f"\n- `{scope}`: {text}" for scope, text in SCOPES.items())
    document["components"]["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "onc_ and 43 characters",
            "description": f"Nothing is needed with AUTH_MODE=none. Scopes of a key:\n{scopes}",
        }
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            needed = needed_for(method.upper(), path)
            scope = [] if needed == "any key" else [needed]
            operation["security"] = [] if needed == "public" else [{"apiKey": scope}]
    return document

"""The OpenAPI document: Litestar's part for its handlers, the table of commands for the other
writes. A handler that reads its body itself names the body's type: `opt={"body": Type}`.

`python -m services.api openapi` writes schemas/openapi.json; `verify` says whether the file is
what this code makes.
"""

from pathlib import Path
from typing import Any

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from services.api import calls, guards, problem_kinds, problems
from services.api.live import frames, upgrades

FILE = Path(__file__).resolve().parents[2] / "schemas" / "openapi.json"

_REF = "#/components/schemas/{name}"
_ALWAYS = (
    "malformed-json",
    "malformed-request",
    "unsupported-media-type",
    "body-too-large",
    "invalid-request",
    "queue-full",
    "database-away",
    "contended",
    "outcome-unknown",
)
# OpenAPI knows no WebSockets: the frames stand in its components, and what they are in this text.
_UPGRADED: dict[str, Any] = {
    "101": {
        "description": (
            "A WebSocket of JSON text frames. The server sends `LiveServerFrame`, the client "
            "`LiveSubscribe`; without a subscription there are heartbeats only. Updates are hints: "
            "the REST answer is the truth, and after `gap` it is to be asked again. Browsers send "
            "their key as the subprotocol `oncely.bearer.<key>` beside `oncely.live.v1`."
        )
    },
    "426": {"description": "It was no upgrade."},
}


def document(app: Litestar, commands: tuple[calls.Command, ...]) -> dict[str, Any]:
    """The whole document as JSON values."""
    reads: dict[str, Any] = app.openapi_schema.to_schema()
    bodies = _bodies(app)
    types = [kind for command in commands for kind in _types_of(command)]
    types += [kind for _, _, kind in bodies]
    types += [problems.ProblemBody, frames.LiveSubscribe, *frames.SERVER_FRAMES.values()]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(id, types), schemas, strict=True))
    for command in commands:
        path = reads["paths"].setdefault(command.path, {})
        path[command.method.lower()] = _operation(command, by_type)
    for path_name, method, kind in bodies:
        reads["paths"][path_name][method]["requestBody"] = _request_body(
            by_type[id(kind)], guards.media_types(method)
        )
    reads["paths"][upgrades.PATH]["get"]["responses"] = _UPGRADED
    for operation in _operations(reads):
        operation["responses"].pop("400", None)
        operation["responses"]["default"] = _problem_response("A problem; see its type.", by_type)
    reads.setdefault("components", {}).setdefault("schemas", {})
    reads["components"]["schemas"] = dict(
        sorted((reads["components"]["schemas"] | components | _server_frame()).items())
    )
    reads["paths"] = dict(sorted(reads["paths"].items()))
    return reads


def encode(content: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def verify(content: dict[str, Any]) -> list[str]:
    """What differs between the written file and this code; empty when nothing does."""
    if not FILE.exists():
        return [f"{FILE.name} is missing: run `python -m services.api openapi`"]
    if FILE.read_bytes() != encode(content):
        return [f"{FILE.name} is not what the code makes: run `python -m services.api openapi`"]
    return []


def _bodies(app: Litestar) -> list[tuple[str, str, Any]]:
    """Path, method and type of every body that a handler reads itself."""
    return [
        (route.path_format, str(method).lower(), handler.opt["body"])
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in sorted(handler.http_methods)
        if "body" in handler.opt
    ]


def _request_body(schema: dict[str, Any], media_types: tuple[str, ...]) -> dict[str, Any]:
    return {"required": True, "content": {media: {"schema": schema} for media in media_types}}


def _server_frame() -> dict[str, Any]:
    """Whatever an api sends over GET /ws, told apart by `type`."""
    refs = {tag: _REF.format(name=kind.__name__) for tag, kind in frames.SERVER_FRAMES.items()}
    return {
        "LiveServerFrame": {
            "oneOf": [{"$ref": ref} for ref in refs.values()],
            "discriminator": {"propertyName": "type", "mapping": refs},
        }
    }


def _types_of(command: calls.Command) -> list[Any]:
    return [*([] if command.body is None else [command.body]), *command.answers.values()]


def _operations(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        operation
        for path in content["paths"].values()
        for method, operation in path.items()
        if method in {"get", "post", "put", "patch", "delete"}
    ]


def _operation(command: calls.Command, by_type: dict[int, dict[str, Any]]) -> dict[str, Any]:
    words = command.path.replace("{", "").replace("}", "").replace("-", "_").split("/")
    operation: dict[str, Any] = {
        "tags": [command.tag],
        "summary": command.summary,
        "operationId": "_".join([command.method.lower(), *filter(None, words)]),
        "parameters": _parameters(command),
        "responses": {
            str(status): {
                "description": "Done" if status != 200 else "Done, or done before",  # noqa: PLR2004
                "content": {"application/json": {"schema": by_type[id(kind)]}},
            }
            for status, kind in command.answers.items()
        },
    }
    if command.body is not None:
        operation["requestBody"] = _request_body(by_type[id(command.body)], command.media_types)
    by_status: dict[int, list[str]] = {}
    for slug in (*_ALWAYS, *command.problems):
        by_status.setdefault(problem_kinds.KINDS[slug].status, []).append(slug)
    for status, slugs in sorted(by_status.items()):
        operation["responses"][str(status)] = _problem_response(", ".join(slugs), by_type)
    return operation


def _parameters(command: calls.Command) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": part[1:-1],
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        }
        for part in command.path.split("/")
        if part.startswith("{")
    ]
    found += [
        {
            "name": name,
            "in": "query",
            "description": description,
            "schema": {"type": "integer", "minimum": 1},
        }
        for name, description in command.query.items()
    ]
    if command.idempotent_by_key:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Names this request: a retry under it gets the stored answer.",
                "schema": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 255,
                    "pattern": "^[ -~]+$",
                },
            }
        )
    found.append(
        {
            "name": "traceparent",
            "in": "header",
            "description": "W3C trace context; kept on the event and sent on to Kafka.",
            "schema": {"type": "string"},
        }
    )
    return found


def _problem_response(description: str, by_type: dict[int, dict[str, Any]]) -> dict[str, Any]:
    schema = by_type[id(problems.ProblemBody)]
    return {
        "description": description,
        "content": {problems.CONTENT_TYPE: {"schema": schema}},
    }

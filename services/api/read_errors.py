"""What a client hears when a handler of Litestar's raises: every error becomes a problem."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from services.api import fates, problems

_HTTP_KINDS = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}
# What a parameter is called where its own name is taken in Python.
_PYTHON_NAMES = {
    "version_state": "state",
    "job_state": "state",
    "letter_state": "state",
    "delivery_state": "state",
    "event_type": "type",
    "export_format": "format",
}


def on_problem(_request: Request[Any, Any, Any], error: problems.Problem) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in error.headers()}
    return Response(
        error.body(),
        status_code=error.status,
        media_type=headers.pop("content-type"),
        headers=headers,
    )


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if isinstance(error, ValidationException):
        return on_problem(request, _from_validation(request, error))
    slug = _HTTP_KINDS.get(error.status_code, "malformed-request")
    allow = ", ".join(sorted(_methods(request))) if slug == "method-not-allowed" else None
    detail = "nothing is here" if slug == "not-found" else str(error.detail)[:300]
    return on_problem(request, problems.Problem(slug, detail, allow=allow))


def _methods(request: Request[Any, Any, Any]) -> set[str]:
    """The methods that the routes of a path take, for the Allow header."""
    parts = request.url.path.strip("/").split("/")
    found: set[str] = set()
    for route in request.app.routes:
        methods = {str(method) for method in route.methods}
        steps = route.path.strip("/").split("/")
        if steps == parts:
            return methods  # a fixed path comes before every pattern
        if len(steps) == len(parts) and all(
            step == part or step.startswith("{") for step, part in zip(steps, parts, strict=True)
        ):
            found |= methods
    return found


def on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return on_problem(request, fates.fate_of(error, begun=False))


def _from_validation(
    request: Request[Any, Any, Any], error: ValidationException
) -> problems.Problem:
    scope: Any = request.scope
    known = request.app.state.query_names.get(scope.get("path_template", ""), frozenset())
    found: list[problems.Fault] = []
    for part in error.extra if isinstance(error.extra, list) else []:
        detail = msgspec.convert(part, dict[str, Any])
        name = str(detail.get("key", ""))[:100]
        if name not in known:
            name = _PYTHON_NAMES.get(name, name)
        found.append(problems.Fault(parameter=name, detail=str(detail.get("message"))[:300]))
    # Of a parameter that is missing the framework speaks in its own sentence, without a list.
    detail = "a parameter is not what it must be: see errors" if found else str(error.detail)[:300]
    return problems.Problem("invalid-request", detail, errors=found)

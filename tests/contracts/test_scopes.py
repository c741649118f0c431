"""Every route of the OpenAPI document has a scope, and the document says which."""

from typing import Any, get_args

from services.api import access, app

METHODS = ("get", "post", "put", "patch", "delete")
# Routes that the document leaves out: pages and documents, and what exists with faults enabled.
UNDOCUMENTED = {
    ("/", "GET"),
    ("/", "POST"),
    ("/faults", "GET"),
    ("/faults", "POST"),
    ("/faults", "DELETE"),
    ("/metrics", "GET"),
    ("/openapi.json", "GET"),
}
PUBLIC = {
    ("/", "GET"),
    ("/health/live", "GET"),
    ("/health/ready", "GET"),
    ("/openapi.json", "GET"),
    ("/problems", "GET"),
    ("/problems/{slug}", "GET"),
}


def _operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method.upper()): operation
        for path, item in app.openapi_document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def _table() -> dict[tuple[str, str], str]:
    return {
        (path, method): scope
        for path, methods in access.ROUTES.items()
        for method, scope in methods.items()
    }


def test_every_route_has_a_scope_and_no_scope_is_without_its_route() -> None:
    assert set(_table()) == set(_operations()) | UNDOCUMENTED


def test_nothing_is_public_but_probes_and_documentation() -> None:
    assert {route for route, scope in _table().items() if scope == "public"} == PUBLIC


def test_a_read_scope_never_writes_and_no_scope_is_without_a_use() -> None:
    table = _table()
    # A dry run computes and keeps nothing.
    writes = {route for route in table if route[1] != "GET"} - {("/rules/test", "POST")}
    assert not {route for route in writes if table[route].endswith(":read")}
    # replay:force is asked for by what a replay's body says.
    assert set(table.values()) - {"public", "any key"} == set(access.SCOPES) - {"replay:force"}
    assert set(access.SCOPES) == set(get_args(access.Scope.__value__))


def test_a_route_that_was_forgotten_needs_admin() -> None:
    assert access.needed_for("POST", "/orders/{order_id}/forgotten") == "admin"
    assert access.needed_for("PURGE", "/orders") == "admin"


def test_the_document_says_which_scope_an_operation_needs() -> None:
    document = app.openapi_document()
    scheme = document["components"]["securitySchemes"]["apiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for route, operation in _operations().items():
        needed = _table()[route]
        scopes = [] if needed == "any key" else [needed]
        assert operation["security"] == ([] if needed == "public" else [{"apiKey": scopes}])

"""schemas/openapi.json is what the code makes, and describes what the api answers."""

import re

import msgspec

from services.api import app, openapi


def test_written_document_is_the_generated_one() -> None:
    assert openapi.verify(app.openapi_document()) == []


def test_every_command_and_read_is_described() -> None:
    paths = app.openapi_document()["paths"]
    for command in app.COMMANDS:
        assert command.method.lower() in paths[command.path]
    for path in ("/orders", "/orders/{order_id}", "/events", "/events/{event_id}", "/dead-letters"):
        assert "get" in paths[path]


def test_every_reference_resolves() -> None:
    document = app.openapi_document()
    names = document["components"]["schemas"]
    found = re.findall(
        r'"\$ref":"#/components/schemas/([^"]+)"', msgspec.json.encode(document).decode()
    )
    assert found
    assert set(found) <= set(names)


def test_every_write_that_reads_its_body_itself_shows_it() -> None:
    paths = app.openapi_document()["paths"]
    for path, method, schema in (
        ("/rules", "post", "RuleBody"),
        ("/rules/{rule_id}", "put", "RulePutBody"),
        ("/rules/{rule_id}", "patch", "RulePatchBody"),
        ("/rules/{rule_id}/versions", "post", "VersionBody"),
    ):
        content = paths[path][method]["requestBody"]["content"]
        reference = content["application/json"]["schema"]["$ref"]
        assert reference == f"#/components/schemas/{schema}"
        assert ("application/merge-patch+json" in content) is (method == "patch")

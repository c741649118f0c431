"""What a newcomer sees after the start: sample data, addresses, one curl that moves something."""

import os
import shlex
import shutil
import sys
import uuid
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rich import markup

from cli import client, output
from cli.stack import local, local_secrets, paths, services

SAMPLE_ORDERS = 10
LISTEN_PORT = 9009
# Only what answers is printed: a checkout without a built console has no console.
PAGES = (
    ("api", "/"),
    ("console", "/console/"),
    ("reference", "/reference"),
    ("openapi", "/openapi.json"),
)
LAST_LINE = "Ctrl-C or `oncely down` stops everything."


def seed_once(data_dir: Path, api_url: str) -> None:
    """Make sample orders, pay one, send an event; once per data folder, never fatal."""
    marker = data_dir / "seeded"
    if marker.exists():
        return
    try:
        count = {"count": str(SAMPLE_ORDERS)}
        orders = client.request("POST", "/orders/seed", url=api_url, params=count)
        order_id = _first_id(orders.body)
        if order_id is not None:
            client.request("POST", f"/orders/{order_id}/pay", url=api_url)
        client.request("POST", "/events", url=api_url, json=_sample_event())
    except output.Failure as error:
        output.console.print(f"[yellow]![/] no sample data: {markup.escape(str(error))}")
        return
    marker.touch()
    output.console.print(f"[green]✓[/] sample data: {SAMPLE_ORDERS} orders, one paid; one event")


def show(stack: local.LocalStack) -> None:
    """Print addresses, the data folder and the first commands."""
    fields: list[tuple[str, object]] = []
    if stack.api_url is not None:
        fields += [(name, stack.api_url + path) for name, path in PAGES if _answers(stack, path)]
    fields += [(f"{each.name} health", each.health_url) for each in stack.services]
    if stack.database_url:
        fields.append(("postgres", stack.database_url))
    if stack.kafka_bootstrap_servers:
        fields.append(("kafka", stack.kafka_bootstrap_servers))
    fields.append(("data folder", stack.data_dir))
    if any(each.kind == "dispatcher" for each in stack.services):
        fields += _sending()
    output.console.print()
    output.show_fields(fields)
    if stack.api_url is not None:
        _show_curl(stack.api_url)
        _show_webhook(stack.api_url, stack.data_dir)
    output.console.print(f"\n{LAST_LINE}")


def _show_curl(api_url: str) -> None:
    order_id = uuid.uuid4()
    body = f'{{"id":"{order_id}","customer_id":"ada","currency":"EUR","amount":4200}}'
    create = f"curl -s {api_url}/orders -H 'content-type: application/json' -d '{body}'"
    lines = [
        "",
        "Create an order and pay it:",
        f"  {create} && curl -s -X POST {api_url}/orders/{order_id}/pay",
        "See its effect, which happened once (settled_at):",
        f"  curl -s {api_url}/orders/{order_id}",
    ]
    for line in lines:
        output.console.out(line, highlight=False)


def _sending() -> list[tuple[str, object]]:
    """Where this stack differs from a default that protects: said, so that nobody relies on it."""
    cidrs = os.environ.get("WEBHOOK_ALLOW_CIDRS", local_secrets.LOOPBACK_CIDRS)
    mode = os.environ.get("EMAIL_MODE", "log")
    return [
        ("webhooks", f"may also reach {cidrs or 'no inner network'} (WEBHOOK_ALLOW_CIDRS)"),
        ("mails", f"EMAIL_MODE={mode}" + (": written to the log, not sent" * (mode == "log"))),
    ]


def _show_webhook(api_url: str, data_dir: Path) -> None:
    """The shortest way to see a webhook come, signed, on this machine."""
    rule = (
        '{"name":"First webhook","event_type":"payment.completed",'
        '"condition":{">":[{"var":"amount"},1000]},'
        '"action":{"type":"call_webhook",'
        f'"params":{{"url":"http://127.0.0.1:{LISTEN_PORT}/hook",'
        '"body":{"id":"{{ external_id }}","amount":"{{ data.amount }}"}}}}'
    )
    event = f'{{"id":"{uuid.uuid4()}","type":"payment.completed","data":{{"amount":4200}}}}'
    post = "-H 'content-type: application/json' -d"
    where = "" if data_dir == paths.data_dir() else f" --data {shlex.quote(str(data_dir))}"
    lines = [
        "See a webhook come: start a receiver in another terminal,",
        f"  {_command()} listen --port {LISTEN_PORT}{where}",
        "then a rule that calls it, an event that it matches, and what the ledger says:",
        f"  curl -s {api_url}/rules {post} '{rule}'",
        f"  curl -s {api_url}/events {post} '{event}'",
        f"  curl -s {api_url}/deliveries",
    ]
    for line in lines:
        output.console.out(line, highlight=False)


def _command() -> str:
    """How this command line is called from here."""
    if shutil.which("oncely") is not None:
        return "oncely"
    return os.path.relpath(Path(sys.executable).parent / "oncely")


def _answers(stack: local.LocalStack, path: str) -> bool:
    port = next(each.port for each in stack.services if each.kind == "api")
    return services.probe(port, path) == HTTPStatus.OK


def _sample_event() -> dict[str, object]:
    return {
        "id": f"sample-{uuid.uuid4()}",
        "type": "payment.completed",
        "data": {"amount": 12_500, "currency": "EUR", "country": "BR"},
    }


def _first_id(body: Any) -> str | None:
    """Find the first order's id in whichever list the answer carries."""
    first = next(iter(client.items(body)), None)
    found = first if isinstance(first, str) else client.members(first).get("id")
    return None if found is None else str(found)

"""What the process refuses to start with, and what browsers may do."""

import subprocess
import sys
import time
import uuid

import pytest

from shared import migrations
from tests.api import samples
from tests.fixtures import client, stack


def _start(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *(command or ("-m", "services.api"))],
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_every_wrong_setting_is_listed_and_secrets_are_not() -> None:
    done = _start(
        DATABASE_URL="mysql://user:s3cret@host/db",
        PORT="70000",
        COALESCE_WRITERS="5 s",
        SECRETS_KEY="s3cret,",
        WEBHOOK_ALLOW_CIDRS="10.0.0.1/8",
    )
    assert done.returncode == 78
    assert {line.split(":")[0].strip() for line in done.stderr.splitlines()[1:]} == {
        "DATABASE_URL",
        "PORT",
        "COALESCE_WRITERS",
        "SECRETS_KEY",
        "WEBHOOK_ALLOW_CIDRS",
    }
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_no_authentication_on_a_network_address_is_refused(host: str) -> None:
    done = _start(DATABASE_URL="postgresql://nobody", HOST=host)
    assert done.returncode == 78
    assert "AUTH_MODE_NONE_ON_NETWORK" in done.stderr


def test_absent_database_ends_the_start_within_its_bound() -> None:
    done = _start(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", STARTUP_SECONDS="0.5")
    assert done.returncode == 69


def test_another_schema_is_refused(database: stack.Database) -> None:
    newest = len(migrations.available())
    with database.connect() as conn:
        conn.execute("delete from schema_migrations where version = %s", [newest])
    done = _start(DATABASE_URL=database.url("oncely_api"))
    assert done.returncode == 78
    assert f"need {newest}" in done.stderr


def test_taken_port_ends_the_process(system: stack.System) -> None:
    api = system.start("api")
    done = _start(DATABASE_URL=system.database.url("oncely_api"), PORT=str(api.port))
    assert done.returncode != 0


def test_a_database_without_our_schema_is_refused(servers: stack.Servers) -> None:
    name = f"empty_{uuid.uuid4().hex[:12]}"
    servers.postgres.create_database(name)
    try:
        done = _start(DATABASE_URL=servers.postgres.url(name))
    finally:
        servers.postgres.drop_database(name)
    assert done.returncode == 78


@pytest.mark.parametrize("part", ["Notifier.start", "Retention.start"])
@pytest.mark.parametrize("faults_enabled", ["0", "1"])
def test_an_error_in_the_start_ends_the_process(
    database: stack.Database, part: str, faults_enabled: str
) -> None:
    """Connections, writers and threads are open by then: none of them may keep the process."""
    kind, method = part.split(".")
    program = (
        f"from services.api import __main__, {kind.lower()} as broken\n"
        f"broken.{kind}.{method} = None\n"
        "raise SystemExit(__main__.main([]))"
    )
    started = time.monotonic()
    done = _start(
        "-c",
        program,
        DATABASE_URL=database.url("oncely_api"),
        PORT="0",
        FAULTS_ENABLED=faults_enabled,
    )
    assert done.returncode not in {0, None}
    assert "TypeError" in done.stdout + done.stderr
    # Half of it is Python and its imports on a busy machine.
    assert time.monotonic() - started < 10


def test_one_origin_may_write_when_it_is_named(system: stack.System) -> None:
    api = system.start("api", CORS_ORIGIN="https://shop.example")
    named = {"Origin": "https://shop.example"}
    asked = client.call(api.url, "OPTIONS", "/orders/x/pay", headers=named)
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == "https://shop.example"
    sent = client.call(api.url, "POST", "/orders", samples.order(), headers=named)
    assert sent.status == 201
    assert sent.headers["access-control-allow-origin"] == "https://shop.example"
    other = {"Origin": "https://evil.example"}
    refused = client.call(api.url, "POST", "/orders", samples.order(), headers=other)
    assert refused.status == 403
    assert "access-control-allow-origin" not in refused.headers

"""Our own services as child processes, started and configured as in production: by module and env.

This room never imports them; `python -m services.api` is the whole interface.
"""

import http.client
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from cli.stack import supervisor

PROJECT = Path(__file__).resolve().parents[2]
API_PORT = 3000
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
MIGRATE_SECONDS = 120.0

type Kind = Literal["api", "relay", "consumer", "dispatcher"]

# The dispatcher is the consumer's image in its other role.
_MODULES: Mapping[Kind, tuple[str, ...]] = {
    "api": ("services.api",),
    "relay": ("services.relay",),
    "consumer": ("services.consumer",),
    "dispatcher": ("services.consumer", "dispatch"),
}


class ServiceProcess:
    """One running service with its health address; the port stays the same across restarts."""

    def __init__(
        self,
        kind: Kind,
        *,
        env: Mapping[str, str],
        port: int,
        log_dir: Path,
        name: str | None = None,
        echo: supervisor.Echo | None = None,
    ) -> None:
        self.kind = kind
        self.name = name or kind
        self.port = port
        self.child = supervisor.Child(
            self.name,
            [sys.executable, "-m", *_MODULES[kind]],
            log_path=log_dir / f"{self.name}.log",
            env=env,
            cwd=PROJECT,
            echo=echo,
        )

    @property
    def url(self) -> str:
        """Base address of the api, or of the health side port of a loop."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def health_url(self) -> str:
        """Address of the readiness probe."""
        return f"{self.url}/health/ready"

    def start(self) -> None:
        """Start without waiting."""
        self.child.start()

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> int:
        """SIGTERM: the service drains; SIGKILL after the deadline."""
        return self.child.stop(deadline_seconds=deadline_seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        self.child.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self.child.resume()

    def ready(self) -> bool:
        """Ask the readiness probe once."""
        return probe(self.port, "/health/ready") == http.client.OK

    def wait_ready(self, deadline_seconds: float = READY_SECONDS) -> None:
        """Wait for the readiness probe; raises with the log's tail when the process ended."""

        def answered() -> bool:
            self.child.must_be_alive()
            return self.ready()

        try:
            supervisor.wait_until(
                answered, deadline_seconds=deadline_seconds, what=f"{self.health_url} to answer 200"
            )
        except supervisor.StackError as error:
            if not self.child.alive:
                raise
            message = f"{error}; log {self.child.log_path}:\n{self.child.tail()}"
            raise supervisor.StackError(message) from None


def service_env(
    kind: Kind,
    *,
    database_url: str,
    kafka_bootstrap_servers: str,
    port: int,
    instance_id: str = "",
    faults_enabled: bool = False,
    log_format: Literal["pretty", "json"] = "json",
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Build the environment of one service: ours, then what the stack decided, then `extra`.

    Variables that the caller has set himself (PROCESSING_TIMEOUT_MS and the like) pass through.
    """
    env = dict(os.environ)
    env.setdefault("APP_ENV", "dev")
    env.setdefault("LOG_FORMAT", log_format)
    env.pop("HEALTH_PORT", None)
    env["DATABASE_URL"] = database_url
    env["KAFKA_BOOTSTRAP_SERVERS"] = kafka_bootstrap_servers
    env["PORT" if kind == "api" else "HEALTH_PORT"] = str(port)
    if faults_enabled:
        env["FAULTS_ENABLED"] = "1"
    if instance_id:
        env["INSTANCE_ID"] = instance_id
    return env | dict(extra or {})


def url_with_role(database_url: str, role: str) -> str:
    """Return the owner's URL of an existing server, with the session switched to a service role."""
    separator = "&" if "?" in database_url else "?"
    return f"{database_url}{separator}options={quote(f'-c role={role}', safe='')}"


def run_migrations(
    command: Literal["up", "status"],
    *,
    database_url: str,
    kafka_bootstrap_servers: str,
    role_password: str = "",
    topic_replication: int = 1,
    log_dir: Path,
) -> str:
    """Run `python -m shared.migrations` as the owner and return what it printed."""
    env = dict(os.environ)
    env["DATABASE_URL"] = database_url
    env["KAFKA_BOOTSTRAP_SERVERS"] = kafka_bootstrap_servers
    env.setdefault("TOPIC_REPLICATION", str(topic_replication))
    if role_password:
        env["ROLE_PASSWORD"] = role_password
    log_path = log_dir / "migrate.log"
    log_path.unlink(missing_ok=True)
    child = supervisor.Child(
        "migrate",
        [sys.executable, "-m", "shared.migrations", command],
        log_path=log_path,
        env=env,
        cwd=PROJECT,
    )
    child.start()
    try:
        status = child.wait(deadline_seconds=MIGRATE_SECONDS)
    finally:
        child.kill()
    if status != 0:
        raise supervisor.StackError(f"the migration ended with status {status}:\n{child.tail()}")
    return log_path.read_text()


def probe(port: int, path: str, *, timeout_seconds: float = 2.0) -> int | None:
    """Return the status code of one GET on the loopback address; None when nobody answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()

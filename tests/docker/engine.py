"""A real Docker engine for the tests of this folder: what is there, and one compose project."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from cli.stack import supervisor

PROJECT = Path(__file__).resolve().parents[2]
IMAGES = {
    "PYTHON_IMAGE": "python:3.13-slim",
    "POSTGRES_IMAGE": "postgres:18",
    "KAFKA_IMAGE": "apache/kafka:4.3.1",
}
BUILD_SECONDS = 420.0
COMMAND_SECONDS = 120.0
PULL_SECONDS = 180.0


def image(variable: str) -> str:
    return os.environ.get(variable) or IMAGES[variable]


def require(*variables: str, compose: bool = False) -> None:
    """Skip the test with a reason unless the engine answers and the images are there or can be."""
    if shutil.which("docker") is None or _fails("docker", "info"):
        pytest.skip("no Docker engine answers here")
    if compose and _fails("docker", "compose", "version"):
        pytest.skip("docker compose is not installed")
    for variable in variables:
        name = image(variable)
        if _fails("docker", "image", "inspect", name) and _fails(
            "docker", "pull", "--quiet", name, deadline_seconds=PULL_SECONDS
        ):
            pytest.skip(f"the image {name} is not here and cannot be pulled: set {variable}")


class Compose:
    """The product of docker-compose.yml under a project name, images and a port of its own."""

    def __init__(self, **env: str) -> None:
        self.name = f"oncely-test-{os.getpid()}"
        self.port = supervisor.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env: Mapping[str, str] = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "PORT": str(self.port),
            "ONCELY_TAG": "test",
            **env,
        }

    def run(self, *arguments: str, deadline_seconds: float = COMMAND_SECONDS) -> str:
        """Run `docker compose ...` and return what it printed; its errors fail the test."""
        return self._run("docker", "compose", *arguments, deadline_seconds=deadline_seconds)

    def up(self, *, consumers: int) -> None:
        """Start what is not running."""
        self.run(
            "up",
            "--detach",
            "--build",
            "--scale",
            f"consumer={consumers}",
            deadline_seconds=BUILD_SECONDS,
        )

    def down(self) -> None:
        self.run("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def containers(self, service: str) -> list[str]:
        """Ids of the running containers of a service."""
        return self.run("ps", "--quiet", service).split()

    def docker(self, *arguments: str) -> str:
        """Run `docker ...`."""
        return self._run("docker", *arguments)

    def rows(self, query: str) -> list[tuple[str, ...]]:
        """Ask Postgres inside its container, as the owner."""
        printed = self.run(
            "exec", "-T", "postgres", "psql", "-U", "oncely", "-d", "oncely", "-Atc", query
        )
        return [tuple(line.split("|")) for line in printed.splitlines()]

    def _run(self, *command: str, deadline_seconds: float = COMMAND_SECONDS) -> str:
        done = subprocess.run(
            command,
            cwd=PROJECT,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=deadline_seconds,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}"
        return done.stdout


def _fails(*command: str, deadline_seconds: float = 30.0) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=deadline_seconds, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0

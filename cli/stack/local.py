"""The whole local stack in order: Postgres and Kafka, migrate, api, relay, consumers, dispatchers;
and back.

Restarts what crashes, within bounds. Servers named by DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS are
used instead of our own and are never stopped.
"""

import datetime as dt
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from cli.stack import kafka, local_secrets, postgres, services, state, steps, supervisor

API_PORT_TRIES = 50
RESTARTS_MAX = 5
RESTART_WINDOW_SECONDS = 60.0
BACKOFF_SECONDS_MAX = 10.0

type Part = Literal["postgres", "kafka", "migrate", "api", "relay", "consumer", "dispatcher"]
PARTS: tuple[Part, ...] = (
    "postgres",
    "kafka",
    "migrate",
    "api",
    "relay",
    "consumer",
    "dispatcher",
)
# Those who seal, sign and call: nobody else is told the secrets.
SENDERS: tuple[services.Kind, ...] = ("api", "dispatcher")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `oncely up` was asked for."""

    data_dir: Path
    only: frozenset[Part] = frozenset(PARTS)
    brokers: Literal[1, 3] = 1
    consumers: int = 1
    dispatchers: int = 1
    port: int | None = None
    faults: bool = False
    log_format: Literal["pretty", "json"] = "json"


class Watched(msgspec.Struct, kw_only=True):
    """Restart history of one process."""

    child: supervisor.Child
    restart: Callable[[], None]
    crashes: list[float] = []
    due: float | None = None


class LocalStack:
    """Everything that one `oncely up` runs on one data folder."""

    def __init__(
        self, options: Options, *, report: steps.Report, echo: supervisor.Echo | None = None
    ) -> None:
        self.options = options
        self.data_dir = options.data_dir
        self._report = report
        self._echo = echo
        self._log_dir = self.data_dir / "logs"
        self._started_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self._watched: list[Watched] = []
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.postgres: postgres.PostgresServer | None = None
        self.kafka: kafka.KafkaCluster | None = None
        self.services: list[services.ServiceProcess] = []

    @property
    def database_url(self) -> str:
        """URL of the schema's owner; empty when no database was asked for."""
        if self.postgres is not None:
            return self.postgres.url()
        return os.environ.get("DATABASE_URL", "")

    @property
    def kafka_bootstrap_servers(self) -> str:
        """Addresses of the brokers; empty when none were asked for."""
        if self.kafka is not None:
            return self.kafka.bootstrap_servers
        return os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")

    @property
    def api_url(self) -> str | None:
        """Address of the api, if it is part of this stack."""
        return next((each.url for each in self.services if each.kind == "api"), None)

    def start(self) -> None:
        """Start everything in order; raises StackError, after which `stop` still has to run."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._start_servers()
        if "migrate" in self.options.only:
            self._step("migrate", self._migrate)
        self._make_services()
        self._together([(each.name, _starter(each)) for each in self.services])
        self._watched += [
            Watched(child=each.child, restart=each.child.start) for each in self.services
        ]
        self.write_state(ready=True)

    def watch(self) -> None:
        """Restart what crashed since the last call; raises StackError past the bound."""
        now = time.monotonic()
        for watched in self._watched:
            if self._stopping.is_set():
                return
            if watched.due is None and not watched.child.alive:
                self._plan_restart(watched, now)
            if watched.due is not None and now >= watched.due:
                watched.due = None
                watched.restart()
                self.write_state(ready=True)

    def stop(self) -> None:
        """Stop in order and leave nothing running; safe at any moment of a start."""
        self._stopping.set()
        supervisor.refuse_new_children()
        for kind in ("consumer", "dispatcher", "relay", "api"):
            self._stop_together([each for each in self.services if each.kind == kind])
        if self.kafka is not None:
            self.kafka.stop()
        if self.postgres is not None:
            self.postgres.stop()
        supervisor.kill_all()

    def write_state(self, *, ready: bool) -> None:
        """Write the state file that `status` and `down` read."""
        own = state.ProcessRecord.of("supervisor", os.getpid())
        assert own is not None
        with self._lock:
            current = state.State(
                ready=ready,
                supervisor=own,
                processes=self._records(),
                data_dir=str(self.data_dir),
                started_at=self._started_at,
                database_url=self.database_url,
                kafka_bootstrap_servers=self.kafka_bootstrap_servers,
                api_url=self.api_url,
            )
            state.write(self.data_dir, current)

    def _start_servers(self) -> None:
        jobs: list[tuple[str, Callable[[], str]]] = []
        if "postgres" in self.options.only and not os.environ.get("DATABASE_URL"):
            jobs.append(("postgres", self._start_postgres))
        if "kafka" in self.options.only and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
            jobs.append(("kafka", self._start_kafka))
        self._together(jobs)

    def _start_postgres(self) -> str:
        server = postgres.PostgresServer(self.data_dir / "postgres", echo=self._echo)
        self.postgres = server
        server.start()
        self._watched.append(Watched(child=server.child, restart=server.start))
        self.write_state(ready=False)
        return f"127.0.0.1:{server.port}"

    def _start_kafka(self) -> str:
        cluster = kafka.KafkaCluster(
            self.data_dir / "kafka",
            brokers=self.options.brokers,
            echo=self._echo,
            progress=lambda done, total: self._report(
                steps.Step(
                    name="kafka",
                    state="progress",
                    detail="downloading Kafka 4.3.1 (45 MB, once)",
                    done=done,
                    total=total,
                )
            ),
        )
        self.kafka = cluster
        cluster.start()
        self._watched += [
            Watched(child=broker.child, restart=broker.start) for broker in cluster.brokers
        ]
        self.write_state(ready=False)
        return cluster.bootstrap_servers

    def _migrate(self) -> str:
        printed = services.run_migrations(
            "up",
            database_url=self.database_url,
            kafka_bootstrap_servers=self.kafka_bootstrap_servers,
            role_password="" if self.postgres is None else self.postgres.password,
            topic_replication=self.options.brokers,
            log_dir=self._log_dir,
        )
        return printed.strip().splitlines()[-1] if printed.strip() else ""

    def _make_services(self) -> None:
        if "api" in self.options.only:
            self._add_service("api", "api", self._api_port())
        if "relay" in self.options.only:
            self._add_service("relay", "relay", state.remembered_port(self.data_dir, "relay"))
        counts: tuple[tuple[services.Kind, int], ...] = (
            ("consumer", self.options.consumers),
            ("dispatcher", self.options.dispatchers),
        )
        names: list[tuple[services.Kind, str]] = [
            (kind, f"{kind}-{number}")
            for kind, count in counts
            if kind in self.options.only
            for number in range(1, count + 1)
        ]
        for kind, name in names:
            self._add_service(kind, name, state.remembered_port(self.data_dir, name))

    def _add_service(self, kind: services.Kind, name: str, port: int) -> None:
        secrets = local_secrets.ensure(self.data_dir) if kind in SENDERS else None
        env = services.service_env(
            kind,
            database_url=self._role_url(f"oncely_{kind}"),
            kafka_bootstrap_servers=self.kafka_bootstrap_servers,
            port=port,
            faults_enabled=self.options.faults,
            log_format=self.options.log_format,
            extra=None if secrets is None else local_secrets.sender_env(secrets),
        )
        service = services.ServiceProcess(
            kind, env=env, port=port, log_dir=self._log_dir, name=name, echo=self._echo
        )
        self.services.append(service)

    def _role_url(self, role: str) -> str:
        if self.postgres is not None:
            return self.postgres.url(user=role)
        return services.url_with_role(self.database_url, role)

    def _api_port(self) -> int:
        """Return the asked port or nothing; without a wish the first free one from 3000 on."""
        wish = self.options.port or int(os.environ.get("PORT") or 0)
        if wish:
            if not supervisor.port_is_free(wish):
                raise supervisor.StackError(f"port {wish} is in use: choose another with --port")
            return wish
        for port in range(services.API_PORT, services.API_PORT + API_PORT_TRIES):
            if supervisor.port_is_free(port):
                if port != services.API_PORT:
                    detail = f"port {services.API_PORT} is in use, the api listens on {port}"
                    self._report(steps.Step(name="api", state="note", detail=detail))
                return port
        last = services.API_PORT + API_PORT_TRIES - 1
        raise supervisor.StackError(
            f"ports {services.API_PORT} to {last} are all in use: use --port"
        )

    def _together(self, jobs: list[tuple[str, Callable[[], str]]]) -> None:
        if not jobs:
            return
        with ThreadPoolExecutor(len(jobs)) as pool:
            running = [pool.submit(self._step, name, job) for name, job in jobs]
            for future in running:
                future.result()

    def _step(self, name: str, job: Callable[[], str]) -> None:
        if self._stopping.is_set():
            raise supervisor.StackError("stopping")
        begun = time.monotonic()
        self._report(steps.Step(name=name, state="started"))
        try:
            detail = job()
        except Exception:
            self._report(steps.Step(name=name, state="failed", seconds=time.monotonic() - begun))
            raise
        seconds = time.monotonic() - begun
        self._report(steps.Step(name=name, state="done", detail=detail, seconds=seconds))

    def _plan_restart(self, watched: Watched, now: float) -> None:
        name = watched.child.name
        recent = [each for each in watched.crashes if now - each < RESTART_WINDOW_SECONDS]
        if len(recent) >= RESTARTS_MAX:
            raise supervisor.StackError(
                f"{name} ended {len(recent) + 1} times within {RESTART_WINDOW_SECONDS:g} s; "
                f"log {watched.child.log_path}:\n{watched.child.tail()}"
            )
        watched.crashes = [*recent, now]
        pause = 0.0 if not recent else min(BACKOFF_SECONDS_MAX, 0.5 * 2 ** len(recent))
        watched.due = now + pause
        detail = f"ended with status {watched.child.returncode}, restarting in {pause:g} s"
        self._report(steps.Step(name=name, state="note", detail=detail))

    def _stop_together(self, group: list[services.ServiceProcess]) -> None:
        if group:
            with ThreadPoolExecutor(len(group)) as pool:
                list(pool.map(services.ServiceProcess.stop, group))

    def _records(self) -> list[state.ProcessRecord]:
        found: list[state.ProcessRecord | None] = []
        if self.postgres is not None:
            found.append(_record(self.postgres.child, self.postgres.port))
        if self.kafka is not None:
            found += [_record(broker.child, broker.node.port) for broker in self.kafka.brokers]
        found += [_record(each.child, each.port) for each in self.services]
        return [each for each in found if each is not None]


def purge(data_dir: Path) -> None:
    """Delete what the stack keeps in the folder, and the folder when nothing else is in it."""
    if (data_dir / "postgres").exists():
        postgres.PostgresServer(data_dir / "postgres").purge()
    for name in ("kafka", "logs"):
        shutil.rmtree(data_dir / name, ignore_errors=True)
    for name in (
        state.FILE_NAME,
        local_secrets.FILE_NAME,
        "ports.json",
        "seeded",
        "up.log",
        "lock",
    ):
        (data_dir / name).unlink(missing_ok=True)
    if data_dir.exists() and not any(data_dir.iterdir()):
        data_dir.rmdir()


def _starter(service: services.ServiceProcess) -> Callable[[], str]:
    def start() -> str:
        service.start()
        service.wait_ready()
        return service.url

    return start


def _record(child: supervisor.Child, port: int) -> state.ProcessRecord | None:
    if child.pid is None or not child.alive:
        return None
    return state.ProcessRecord.of(child.name, child.pid, port=port, log=child.log_path)

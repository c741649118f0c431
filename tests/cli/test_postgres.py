import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg
import pytest

from cli.stack import paths, postgres, services

AS_NOBODY = """
import pathlib, sys
from cli.stack import postgres
server = postgres.PostgresServer(pathlib.Path(sys.argv[1]))
server.start()
import psycopg
with psycopg.connect(server.url()) as conn:
    print(conn.execute("select current_user").fetchone()[0])
server.stop()
"""


@pytest.fixture
def server(folder: Path) -> Generator[postgres.PostgresServer]:
    made = postgres.PostgresServer(folder / "postgres")
    made.start()
    yield made
    made.purge()


def test_killed_server_keeps_committed_rows_and_its_port(server: postgres.PostgresServer) -> None:
    url = server.url()
    with psycopg.connect(url) as conn:
        conn.execute("create table t as select 42 as answer")

    server.kill()
    server.start()

    assert server.url() == url
    with psycopg.connect(url) as conn:
        assert conn.execute("select answer from t").fetchone() == (42,)


def test_owner_is_no_superuser_and_durability_is_on(server: postgres.PostgresServer) -> None:
    with psycopg.connect(server.url()) as conn:
        row = conn.execute(
            "select current_setting('is_superuser'), current_setting('fsync'),"
            " current_setting('synchronous_commit'), current_setting('password_encryption')"
        ).fetchone()

    assert row == ("off", "on", "on", "scram-sha-256")


def test_password_is_needed_and_private(server: postgres.PostgresServer) -> None:
    mode = (server.data_dir / "password").stat().st_mode & 0o777

    assert mode == 0o600
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://oncely:wrong@127.0.0.1:{server.port}/oncely")


def test_database_is_made_from_a_template_and_dropped(server: postgres.PostgresServer) -> None:
    with psycopg.connect(server.url()) as conn:
        conn.execute("create table t as select 7 as answer")

    server.create_database("copy", template="oncely")

    with psycopg.connect(server.url("copy")) as conn:
        assert conn.execute("select answer from t").fetchone() == (7,)
    server.drop_database("copy")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.url("copy"))


def test_stop_leaves_no_process(
    server: postgres.PostgresServer, running_on: Callable[[], list[str]]
) -> None:
    conn = psycopg.connect(server.url())
    assert running_on()

    server.stop("fast")

    assert running_on() == []
    conn.close()


def test_new_object_on_the_same_folder_has_the_same_address(folder: Path) -> None:
    first = postgres.PostgresServer(folder / "postgres")
    first.start()
    first.stop()

    again = postgres.PostgresServer(folder / "postgres")

    assert again.url() == first.url()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a stand-in for a closed folder")
def test_root_with_a_closed_home_gets_a_server_and_purge_removes_it(folder: Path) -> None:
    closed = folder / "home"
    closed.mkdir(mode=0o700)
    server = postgres.PostgresServer(closed / "postgres")
    server.start()
    assert (closed / "postgres").is_symlink()

    server.purge()

    assert not server.data_dir.exists()
    assert not (closed / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as a normal user already")
@pytest.mark.skipif(
    not paths.open_to_everyone(Path(sys.executable).resolve()),
    reason="the interpreter lies in a closed home, so that nobody cannot start it",
)
def test_normal_user_gets_a_server(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    ran = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder / "postgres")],
        user="nobody",
        group=nobody.pw_gid,
        extra_groups=[],
        cwd=services.PROJECT,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.stdout.strip(), ran.stderr) == ("oncely", "")

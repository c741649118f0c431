"""Where the stack keeps things, and who may read them when we run as root."""

import contextlib
import fcntl
import hashlib
import os
import pwd
import stat
import time
from collections.abc import Generator
from pathlib import Path

from cli.stack import supervisor

ROOT_CACHE = Path("/var/cache/oncely")
ROOT_DATA = Path("/var/lib/oncely")


def cache_dir() -> Path:
    """Folder for what can be fetched again: Kafka's jars, a readable copy of Postgres."""
    given = os.environ.get("ONCELY_CACHE_DIR")
    if given:
        return Path(given).expanduser().absolute()
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oncely"
    # Postgres runs as nobody when we are root, and must be able to enter the folder.
    if os.geteuid() == 0 and not open_to_everyone(home_cache):
        return ROOT_CACHE
    return home_cache


def data_dir(given: Path | None = None) -> Path:
    """Folder for the stack's own data: `--data`, ONCELY_DATA_DIR, or `.oncely` here."""
    chosen = given or Path(os.environ.get("ONCELY_DATA_DIR") or ".oncely")
    return chosen.expanduser().absolute()


def unprivileged() -> supervisor.Identity | None:
    """Return whom Postgres runs as: nobody when we are root (it refuses root), else ourselves."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return supervisor.Identity(uid=nobody.pw_uid, gid=nobody.pw_gid)


def open_to_everyone(path: Path) -> bool:
    """Say whether any user can walk to `path`; parts that do not exist yet count as open."""
    for part in [path, *path.parents]:
        with contextlib.suppress(FileNotFoundError):
            if not part.stat().st_mode & stat.S_IXOTH:
                return False
    return True


def reachable(path: Path) -> Path:
    """Return `path`, or the folder that stands in for it when nobody could not walk there.

    The stand-in lives below /var/lib and `path` becomes a link to it, so it is found and purged.
    """
    if path.is_symlink():
        return path.resolve()
    if unprivileged() is None or open_to_everyone(path):
        path.mkdir(parents=True, exist_ok=True)
        return path.resolve()
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    stand_in = ROOT_DATA / name
    stand_in.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(stand_in, target_is_directory=True)
    return stand_in


@contextlib.contextmanager
def locked(path: Path, *, deadline_seconds: float, what: str) -> Generator[None]:
    """Hold an exclusive lock on the file; it ends with the process, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + deadline_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise supervisor.StackError(f"{what} (lock {path})") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)

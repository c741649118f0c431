"""Kafka's jars: exactly the files of kafka.lock, downloaded once, verified before every start.

Downloads go through `jgo`, which knows where Maven artifacts live; no address stands in our code.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import msgspec

from cli.stack import paths, supervisor

LOCK_FILE = Path(__file__).with_name("kafka.lock")
DOWNLOAD_THREADS = 8
ATTEMPTS_MAX = 3
LOCK_SECONDS = 300.0
REQUEST_SECONDS = 30

type Progress = Callable[[int, int], None]
"""Receives (files done, files in all)."""
type Fetch = Callable[[Jar, Path], Path]
"""Brings one jar into a staging folder and returns its path."""


class Jar(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the file in our flat folder."""
        return f"{self.artifact}-{self.version}.jar"


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """What a file looked like when its hash was last right."""

    size: int
    modified_ns: int
    sha256: str


def read_lock(path: Path = LOCK_FILE) -> list[Jar]:
    """Parse `group:artifact:version sha256:...` lines."""
    jars: list[Jar] = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            coordinate, digest = line.split()
            group, artifact, version = coordinate.split(":")
            sha256 = digest.removeprefix("sha256:")
            jars.append(Jar(group=group, artifact=artifact, version=version, sha256=sha256))
    return jars


def default_folder() -> Path:
    """Return our cache, or ONCELY_KAFKA_JARS: the same files, for machines without a network."""
    given = os.environ.get("ONCELY_KAFKA_JARS")
    return Path(given).absolute() if given else paths.cache_dir() / "kafka"


def class_path() -> str:
    """Return the class path for java, whether or not the jars are there yet."""
    folder = default_folder()
    return os.pathsep.join(str(folder / jar.filename) for jar in read_lock())


def ensure(
    folder: Path | None = None,
    *,
    jars: Sequence[Jar] | None = None,
    fetch: Fetch | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Return the verified jars, downloading what is missing or damaged."""
    wanted = read_lock() if jars is None else list(jars)
    folder = folder or default_folder()
    if folder.exists() and not os.access(folder, os.W_OK):
        return _read_only(folder, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    busy = "another process has been downloading Kafka's jars for too long"
    with paths.locked(folder / ".lock", deadline_seconds=LOCK_SECONDS, what=busy):
        stamps = _read_stamps(folder)
        missing = [jar for jar in wanted if not _is_verified(folder, jar, stamps)]
        if missing:
            _download(folder, missing, fetch or _fetch_by_jgo, progress)
        fresh = {jar.filename: _stamp(folder / jar.filename, jar.sha256) for jar in wanted}
        if fresh != stamps:
            (folder / ".verified.json").write_bytes(msgspec.json.encode(fresh))
    return [folder / jar.filename for jar in wanted]


def _read_only(folder: Path, jars: list[Jar]) -> list[Path]:
    """Verify a folder that somebody else filled, e.g. in an image: no stamps, no repair."""
    bad = [
        jar.filename
        for jar in jars
        if not (folder / jar.filename).exists() or _sha256(folder / jar.filename) != jar.sha256
    ]
    if bad:
        message = f"{folder} cannot be written and lacks or holds damaged: {', '.join(bad)}"
        raise supervisor.StackError(message)
    return [folder / jar.filename for jar in jars]


def _is_verified(folder: Path, jar: Jar, stamps: dict[str, Stamp]) -> bool:
    path = folder / jar.filename
    if not path.exists():
        return False
    # Hashing 45 MB costs about as much as the rest of a warm start; an unchanged size and time
    # of change stand for an unchanged content, everything else is hashed again.
    if stamps.get(jar.filename) == _stamp(path, jar.sha256):
        return True
    if _sha256(path) == jar.sha256:
        return True
    path.unlink()
    return False


def _download(folder: Path, jars: list[Jar], fetch: Fetch, progress: Progress | None) -> None:
    done = 0
    # Not a `with` block: after Ctrl-C the downloads under way are abandoned, not waited for.
    pool = ThreadPoolExecutor(DOWNLOAD_THREADS, thread_name_prefix="jars")
    for left_over in folder.glob(".staging-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder))
    try:
        running = [pool.submit(_download_one, folder, staging, jar, fetch) for jar in jars]
        for future in as_completed(running):
            future.result()
            done += 1
            if progress is not None:
                progress(done, len(jars))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(staging, ignore_errors=True)


def _download_one(folder: Path, staging: Path, jar: Jar, fetch: Fetch) -> None:
    """Fetch into staging, verify, then move: a name in `folder` always means a whole file."""
    reason = ""
    for attempt in range(ATTEMPTS_MAX):
        try:
            path = fetch(jar, staging / f"{attempt}")
        except (OSError, RuntimeError) as error:
            reason = f"{type(error).__name__}: {error}"
            shutil.rmtree(staging / f"{attempt}" / jar.filename, ignore_errors=True)
            continue
        if _sha256(path) == jar.sha256:
            path.chmod(0o644)
            path.replace(folder / jar.filename)
            return
        reason = "its SHA-256 is not the one in kafka.lock"
        path.unlink()
    raise supervisor.StackError(
        f"cannot download {jar.group}:{jar.artifact}:{jar.version}: {reason}. "
        "Check the network, or set ONCELY_KAFKA_JARS to a folder that has the jars, or set "
        "KAFKA_BOOTSTRAP_SERVERS to use a broker that runs already."
    )


def _fetch_by_jgo(jar: Jar, staging: Path) -> Path:
    from jgo.maven import MavenContext  # noqa: PLC0415 - slow to import, needed once

    context = MavenContext(repo_cache=staging, timeout=REQUEST_SECONDS)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    return component.artifact().resolve()


def _read_stamps(folder: Path) -> dict[str, Stamp]:
    try:
        return msgspec.json.decode((folder / ".verified.json").read_bytes(), type=dict[str, Stamp])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}


def _stamp(path: Path, sha256: str) -> Stamp:
    status = path.stat()
    return Stamp(size=status.st_size, modified_ns=status.st_mtime_ns, sha256=sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

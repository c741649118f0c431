import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.stack import jars, supervisor

CONTENT = b"the right bytes"
JAR = jars.Jar(
    group="org.example", artifact="thing", version="1.0", sha256=hashlib.sha256(CONTENT).hexdigest()
)


def fetcher(*contents: bytes) -> tuple[Callable[[jars.Jar, Path], Path], list[str]]:
    """Serve the contents one after the other, the last one for ever, and count the calls."""
    calls: list[str] = []

    def fetch(jar: jars.Jar, staging: Path) -> Path:
        calls.append(jar.filename)
        staging.mkdir(parents=True, exist_ok=True)
        path = staging / jar.filename
        path.write_bytes(contents[min(len(calls), len(contents)) - 1])
        return path

    return fetch, calls


def test_corrupted_jar_is_replaced(folder: Path) -> None:
    fetch, calls = fetcher(CONTENT)
    [path] = jars.ensure(folder, jars=[JAR], fetch=fetch)
    path.write_bytes(b"cut off")

    jars.ensure(folder, jars=[JAR], fetch=fetch)

    assert path.read_bytes() == CONTENT
    assert len(calls) == 2


def test_verified_jar_is_not_fetched_again(folder: Path) -> None:
    fetch, calls = fetcher(CONTENT)
    jars.ensure(folder, jars=[JAR], fetch=fetch)

    jars.ensure(folder, jars=[JAR], fetch=fetch)

    assert len(calls) == 1


def test_damaged_download_is_tried_again(folder: Path) -> None:
    fetch, calls = fetcher(b"half", CONTENT)

    [path] = jars.ensure(folder, jars=[JAR], fetch=fetch)

    assert path.read_bytes() == CONTENT
    assert len(calls) == 2


def test_wrong_jar_is_never_used(folder: Path) -> None:
    fetch, calls = fetcher(b"something else")

    with pytest.raises(supervisor.StackError, match=r"SHA-256 is not the one in kafka\.lock"):
        jars.ensure(folder, jars=[JAR], fetch=fetch)

    assert not (folder / JAR.filename).exists()
    assert len(calls) == jars.ATTEMPTS_MAX


def test_interrupted_download_leaves_nothing_behind(folder: Path) -> None:
    (folder / ".staging-old").mkdir()
    fetch, _ = fetcher(CONTENT)

    jars.ensure(folder, jars=[JAR], fetch=fetch)

    assert list(folder.glob(".staging-*")) == []


def test_lock_file_pins_every_jar_once() -> None:
    locked = jars.read_lock()

    assert len({jar.filename for jar in locked}) == len(locked) == 46
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert "//" not in jars.LOCK_FILE.read_text()


def test_one_flipped_byte_of_the_same_length_is_found(folder: Path) -> None:
    fetch, calls = fetcher(CONTENT)
    [path] = jars.ensure(folder, jars=[JAR], fetch=fetch)
    damaged = bytearray(CONTENT)
    damaged[3] ^= 1
    path.write_bytes(bytes(damaged))

    jars.ensure(folder, jars=[JAR], fetch=fetch)

    assert path.read_bytes() == CONTENT
    assert len(calls) == 2

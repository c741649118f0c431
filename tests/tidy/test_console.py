"""The console's packages: pinned, by hash, and from wherever who builds gets them."""

import json
import re
from typing import Any

from cli.stack import console

# Builds for other systems that the index where this lock was made does not hold: npm wants an entry
# for each, and gets their hashes when the lock is made where they are.
WITHOUT_HASH = re.compile(r"node_modules/@(biomejs/cli|tailwindcss/oxide)-")


def _lock() -> dict[str, dict[str, Any]]:
    return json.loads((console.FOLDER / "package-lock.json").read_bytes())["packages"]


def test_the_lock_says_no_address() -> None:
    assert [name for name, entry in _lock().items() if "resolved" in entry] == []
    assert "registry" not in (console.FOLDER / "package-lock.json").read_text(encoding="utf-8")


def test_the_lock_holds_a_hash_of_every_package() -> None:
    bare = [name for name, entry in _lock().items() if name and "integrity" not in entry]

    assert [name for name in bare if not WITHOUT_HASH.match(name)] == []
    assert [name for name in bare if not _lock()[name].get("optional")] == []


def test_npm_ci_accepts_the_lock() -> None:
    lock = _lock()
    wanted = {
        f"node_modules/{name}"
        for entry in lock.values()
        for name in entry.get("optionalDependencies", {})
    }
    assert sorted(wanted - set(lock)) == []


def test_what_the_console_asks_for_is_pinned() -> None:
    asked = json.loads((console.FOLDER / "package.json").read_bytes())
    versions = asked["dependencies"] | asked["devDependencies"]

    loose = {name: text for name, text in versions.items() if not re.fullmatch(r"[\d.]+", text)}

    assert loose == {}
    assert _lock()[""]["dependencies"] == asked["dependencies"]
    assert _lock()[""]["devDependencies"] == asked["devDependencies"]

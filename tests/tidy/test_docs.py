"""The documents are true: paths exist, commands are targets, every setting is listed."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.tidy import env_example

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "deploy/README.md",
    "docs/console/README.md",
    "schemas/README.md",
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    document = ROOT / name
    targets = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))

    missing = [target for target in targets if not (document.parent / target).exists()]

    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_named_test_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    tests = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")
    )

    missing = [claim for claim in re.findall(r"`(test_\w+)`", text) if f"def {claim}(" not in tests]

    assert missing == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_command_is_a_target(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))

    assert named <= targets


def test_the_example_of_the_settings_is_generated_from_them() -> None:
    assert env_example.PATH.read_text(encoding="utf-8") == env_example.render()


def test_the_reading_order_is_the_data_s_way() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    order = [
        "services/api/orders.py",
        "services/api/queries/orders.py",
        "schemas/sql",
        "services/relay/loop.py",
        "services/relay/publisher.py",
        "services/consumer/loop.py",
        "services/consumer/handler.py",
    ]

    positions = [text.index(f"({path})") for path in order]

    assert positions == sorted(positions)


def test_locks_hold_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "locks").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        packages = re.findall(r"^[a-z0-9._-]+==\S+ \\\n    --hash=sha256:", text, re.MULTILINE)
        assert len(packages) == len(re.findall(r"^[a-z0-9._-]+==", text, re.MULTILINE)), lock
        assert "://" not in text, lock


def test_locks_cover_what_the_services_ask_for() -> None:
    for name in ("api", "relay", "consumer"):
        stated = _dependencies(ROOT / "services" / name / "pyproject.toml")
        stated |= _dependencies(ROOT / "shared" / "pyproject.toml")
        lock = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")
        locked = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE))
        assert stated <= locked, name


def _dependencies(path: Path) -> set[str]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {re.split(r"[\[><=!~ ]", text)[0].lower() for text in table["project"]["dependencies"]}

"""What `make console` made: small at first, compressed, and in the wheel."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cli.stack import console

FIRST_ROUTE_BYTES_MAX = 200_000
ROOT = Path(__file__).resolve().parents[2]
# Words that only the editor's and the chart's own code holds.
HEAVY = {"the editor": "cm-content", "the chart": "u-legend"}


@pytest.fixture
def dist(built: None) -> Path:
    return console.DIST


def test_the_first_route_is_under_200_kb_compressed(dist: Path) -> None:
    sizes = console.first_route(dist)
    print("\n".join(f"{size:>8} {name}" for name, size in sizes.items()), sum(sizes.values()))

    assert any(name.endswith(".js") for name in sizes)
    assert any(name.endswith(".css") for name in sizes)
    assert any(name.endswith(".woff2") for name in sizes)
    assert sum(sizes.values()) < FIRST_ROUTE_BYTES_MAX, sizes


@pytest.mark.parametrize("part", HEAVY)
def test_what_is_heavy_loads_on_demand(dist: Path, part: str) -> None:
    first = {dist / name for name in console.first_route(dist) if name.endswith(".js")}
    holders = {
        path for path in (dist / "assets").glob("*.js") if HEAVY[part] in path.read_text("utf-8")
    }

    assert holders, f"{HEAVY[part]} is nowhere: name what {part} holds now"
    assert holders.isdisjoint(first)


def test_every_text_is_there_compressed_too(dist: Path) -> None:
    texts = [path for path in dist.rglob("assets/*") if path.suffix in {".js", ".css"}]
    bare = [
        path.name
        for path in texts
        if path.stat().st_size >= 1024
        and not all(path.with_name(path.name + end).exists() for end in (".br", ".gz"))
    ]

    assert texts
    assert bare == []


def test_the_page_names_its_nonce_and_nothing_elsewhere(dist: Path) -> None:
    page = (dist / "index.html").read_text("utf-8")

    assert "__CSP_NONCE__" in page
    assert re.findall(r"(?:src|href)=\"(?!/console/)[^\"]*\"", page) == []
    assert re.findall(r"<script(?![^>]*\ssrc=)|<style|\son\w+=", page) == []


def test_a_wheel_holds_what_was_built_and_no_sources(dist: Path, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    prefix = "services/api/console/"
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(prefix)}
    made = {
        prefix + str(path.relative_to(console.FOLDER)) for path in dist.rglob("*") if path.is_file()
    }

    assert held == made

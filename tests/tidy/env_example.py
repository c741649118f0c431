"""Writes .env.example from the settings of every service: `make schemas`. A test compares."""

import sys
import textwrap
from pathlib import Path
from typing import get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.api.settings import ApiSettings
from services.consumer.dispatcher.settings import DispatchSettings
from services.consumer.settings import ConsumerSettings
from services.relay.settings import RelaySettings
from shared.migrations import MigrationSettings
from shared.settings import Settings

PATH = Path(__file__).resolve().parents[2] / ".env.example"
SECTIONS: list[tuple[str, type[Settings]]] = [
    ("Every service", Settings),
    ("api", ApiSettings),
    ("relay", RelaySettings),
    ("consumer", ConsumerSettings),
    ("dispatcher (python -m services.consumer dispatch)", DispatchSettings),
    ("migrations (python -m shared.migrations up)", MigrationSettings),
]
HEADER = """\
# Every setting with its default, written by `make schemas` from the settings modules.
# NAME_FILE names a file that holds the value of NAME. A wrong value: all errors listed, exit 78.
"""


def render() -> str:
    """Return the text of .env.example."""
    parts = [HEADER]
    common = set(Settings.model_fields)
    for title, kind in SECTIONS:
        fields = {
            name: field
            for name, field in kind.model_fields.items()
            if kind is Settings or name not in common
        }
        parts.append(f"\n# ---- {title}\n")
        parts += [_entry(name, field) for name, field in fields.items()]
    return "".join(parts)


def _entry(name: str, field: FieldInfo) -> str:
    about = (field.description or "").strip()
    choices = get_args(field.annotation)
    if choices and all(isinstance(choice, str) for choice in choices):
        about += f" One of: {', '.join(choices)}."
    comment = textwrap.fill(about, 100, initial_indent="# ", subsequent_indent="# ")
    default = "" if field.is_required() else _text(field.get_default(call_default_factory=True))
    marker = "" if field.is_required() else "# "
    return f"\n{comment}\n{marker}{name.upper()}={default}\n"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value)


if __name__ == "__main__":
    sys.stdout.write(f"{PATH.name} written\n")
    PATH.write_text(render(), encoding="utf-8")

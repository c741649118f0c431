"""Secrets of the local stack: made once per data folder, readable by us only.

What the environment already says is left alone, so that a stack on somebody's own servers uses
his secrets.
"""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cli.stack import paths, supervisor

FILE_NAME = "secrets.json"
# Receivers of a newcomer listen on this machine; nothing else of the inner network is opened.
LOOPBACK_CIDRS = "127.0.0.0/8,::1/128"


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever has these reads the headers and secrets of targets and signs as this stack does."""

    secrets_key: str
    webhook_secret: str


def ensure(folder: Path) -> Secrets:
    """Return the folder's secrets; the first call makes them."""
    found = read(folder)
    if found is None:
        found = Secrets(
            secrets_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            webhook_secret=f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}",
        )
        paths.write_private(folder / FILE_NAME, msgspec.json.encode(found).decode())
    return found


def read(folder: Path) -> Secrets | None:
    """Return the folder's secrets if it has any; a file that is not ours to guess is an error."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Secrets)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        # New ones in their place would make what the old ones sealed unreadable, without a word.
        message = f"{folder / FILE_NAME} is damaged ({error}): mend it, or `oncely down --purge`"
        raise supervisor.StackError(message) from None


def sender_env(made: Secrets) -> dict[str, str]:
    """What the api and the dispatcher of a local stack are told beyond the defaults."""
    wanted = {
        "SECRETS_KEY": made.secrets_key,
        "WEBHOOK_SECRET": made.webhook_secret,
        "WEBHOOK_ALLOW_CIDRS": LOOPBACK_CIDRS,
        "EMAIL_MODE": "log",
    }
    return {name: value for name, value in wanted.items() if not _given(os.environ, name)}


def _given(environ: Mapping[str, str], name: str) -> bool:
    return name in environ or f"{name}_FILE" in environ

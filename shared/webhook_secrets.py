"""The secrets that sign webhooks, as Standard Webhooks writes them: whsec_ and base64."""

import base64
import binascii
import secrets

PREFIX = "whsec_"
BYTES_MIN = 24
BYTES_MAX = 64
_BYTES_MADE = 32


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES_MADE)).decode("ascii")


def read_secret(text: str) -> bytes:
    """The raw key; ValueError says what is wrong and never repeats the secret."""
    if not text.startswith(PREFIX):
        raise ValueError(f"must start with {PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"after {PREFIX} it must be base64 (A-Z a-z 0-9 + /, padded)") from None
    if not BYTES_MIN <= len(key) <= BYTES_MAX:
        raise ValueError(f"{len(key)} bytes: must be {BYTES_MIN} to {BYTES_MAX}")
    return key

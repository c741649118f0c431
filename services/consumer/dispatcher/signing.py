"""Signatures of webhooks as Standard Webhooks defines them. Pure."""

import base64
import hmac


def signatures(
    secrets: tuple[bytes, ...], *, webhook_id: str, timestamp: int, body: bytes
) -> str | None:
    """The header webhook-signature: one signature per secret, while two of them are valid."""
    if not secrets:
        return None
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode("ascii")
        for secret in secrets
    )

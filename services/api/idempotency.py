"""Idempotency-Key: a client's name for its request, kept with the answer in the transaction of the
effect.
"""

import hashlib

import msgspec

from services.api import calls, jobs, problems

_BYTES_MAX = 255
_canonical = msgspec.json.Encoder(order="sorted").encode


def read_key(call: calls.Call, *, scope: str, request: object) -> jobs.IdempotencyKey | None:
    """The key of a call, if it has one; equal requests are equal values, however they were
    written.
    """
    text = call.header(b"idempotency-key")
    if text is None:
        return None
    if not text or len(text) > _BYTES_MAX or not text.isascii() or not text.isprintable():
        raise problems.header(
            "Idempotency-Key", f"must be 1 to {_BYTES_MAX} printable ASCII characters"
        )
    digest = hashlib.sha256(_canonical(request)).digest()
    return jobs.IdempotencyKey(scope=scope, key=text, request_hash=digest)

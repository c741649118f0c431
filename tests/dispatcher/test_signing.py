import base64
import hmac
import json
import time
from collections.abc import Mapping

import pytest
import standardwebhooks
from standardwebhooks import webhooks as published

from services.consumer.dispatcher import signing
from shared import webhook_secrets

BODY = json.dumps({"type": "order.paid", "name": "Bücher", "n": 1}).encode()


def _headers(secrets: tuple[str, ...], body: bytes, *, timestamp: int) -> dict[str, str]:
    keys = tuple(webhook_secrets.read_secret(secret) for secret in secrets)
    signature = signing.signatures(keys, webhook_id="msg_1", timestamp=timestamp, body=body)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature or "",
    }


def _is_accepted(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, dict(headers))
    except published.WebhookVerificationError:
        return False
    return True


def test_the_published_library_accepts_our_signature_and_no_other() -> None:
    secret, other = webhook_secrets.make_secret(), webhook_secrets.make_secret()
    headers = _headers((secret,), BODY, timestamp=int(time.time()))
    assert _is_accepted(secret, headers, BODY)
    assert not _is_accepted(other, headers, BODY)
    assert not _is_accepted(secret, headers, BODY + b" ")
    assert not _is_accepted(secret, {**headers, "webhook-id": "msg_2"}, BODY)
    assert not _is_accepted(secret, _headers((secret,), BODY, timestamp=1), BODY)


def test_while_a_secret_is_rotated_the_old_and_the_new_one_verify() -> None:
    old, new = webhook_secrets.make_secret(), webhook_secrets.make_secret()
    headers = _headers((new, old), BODY, timestamp=int(time.time()))
    assert _is_accepted(old, headers, BODY)
    assert _is_accepted(new, headers, BODY)
    assert not _is_accepted(webhook_secrets.make_secret(), headers, BODY)


def test_a_signature_is_the_hmac_that_the_specification_names() -> None:
    key = webhook_secrets.read_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    want = base64.b64encode(hmac.new(key, b"msg_a.1614265330." + BODY, "sha256").digest()).decode()
    made = signing.signatures((key,), webhook_id="msg_a", timestamp=1_614_265_330, body=BODY)
    assert made == f"v1,{want}"
    assert signing.signatures((), webhook_id="msg_a", timestamp=1, body=BODY) is None


def test_a_made_secret_is_new_each_time_and_can_be_read() -> None:
    made = {webhook_secrets.make_secret() for _ in range(20)}
    assert len(made) == 20
    assert all(len(webhook_secrets.read_secret(secret)) == 32 for secret in made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must start with whsec_"),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must start with whsec_"),
        ("WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must start with whsec_"),
        ("whsec_", "0 bytes: must be 24 to 64"),
        ("whsec_" + base64.b64encode(b"a" * 23).decode(), "23 bytes: must be 24 to 64"),
        ("whsec_" + base64.b64encode(b"a" * 65).decode(), "65 bytes: must be 24 to 64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "must be base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", "must be base64"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "must be base64"),
        ("whsec_ümlaut", "must be base64"),
    ],
)
def test_a_bad_secret_is_refused_without_being_repeated(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        webhook_secrets.read_secret(text)
    assert len(text) < 12 or text.removeprefix("whsec_") not in str(raised.value)
    assert raised.value.__cause__ is None

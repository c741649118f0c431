import base64
import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from cli.commands import listen
from cli.stack import local_secrets, services, supervisor
from tests.fixtures import client
from tests.fixtures.deadlines import eventually

SECRET = f"whsec_{base64.b64encode(bytes(range(24))).decode()}"
KEY = bytes(range(24))
BODY = b'{"event_id": "e-1"}'


def signed(*, body: bytes = BODY, at: dt.datetime | None = None) -> dict[str, str]:
    """Headers by the published package: what a sender of the standard sends."""
    moment = at or dt.datetime.now(dt.UTC)
    return {
        "webhook-id": "d-1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("d-1", moment, body.decode()),
    }


@pytest.mark.parametrize(
    ("age_seconds", "changed", "expected"),
    [
        (0, {}, "valid"),
        (0, {"webhook-signature": "v1,b2xk {own}"}, "valid"),
        (0, {"webhook-id": "d-2"}, "WRONG"),
        (0, {"webhook-signature": "v1,ü"}, "WRONG"),
        (3600, {}, "too old"),
        (0, {"webhook-timestamp": "soon"}, "too old"),
    ],
)
def test_a_signature_is_judged_by_the_standard(
    age_seconds: int, changed: dict[str, str], expected: str
) -> None:
    now = dt.datetime.now(dt.UTC)
    # Signed here and not in the parameters: those are made when tests are collected, and by the
    # time a long run comes to this one they are older than the standard allows.
    headers = signed(at=now - dt.timedelta(seconds=age_seconds))
    own = headers["webhook-signature"]
    headers |= {name: value.replace("{own}", own) for name, value in changed.items()}

    assert listen.verdict(KEY, headers, BODY, now=now.timestamp()) == expected


def test_another_body_or_no_signature_is_not_valid() -> None:
    now = dt.datetime.now(dt.UTC)
    of_another_body = signed(body=b'{"event_id": "e-2"}', at=now)

    assert listen.verdict(KEY, of_another_body, BODY, now=now.timestamp()) == "WRONG"
    assert listen.verdict(KEY, {}, BODY, now=now.timestamp()) == "missing"


def test_a_receiver_says_that_a_webhook_came_again_and_refuses_a_wrong_one() -> None:
    port = supervisor.free_port()
    command = [sys.executable, "-m", "cli.main", "listen", "--json", "--port", str(port)]
    with subprocess.Popen(
        [*command, "--secret", SECRET], cwd=services.PROJECT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            eventually(lambda: answers(url), deadline_seconds=20, what="the receiver answers")
            for body in (BODY, BODY, b"{}"):
                client.call(url, "POST", "/hook", raw=body, headers=signed())
        finally:
            process.terminate()
            printed, _ = process.communicate(timeout=20)

    seen = [json.loads(line) for line in printed.splitlines() if '"path":"/hook"' in line]
    assert [(each["times_seen"], each["signature"], each["answered"]) for each in seen] == [
        (1, "valid", 200),
        (2, "valid", 200),
        (3, "WRONG", 401),
    ]


def answers(url: str) -> bool:
    try:
        return client.call(url, "GET", "/").status == 401
    except OSError:
        return False


def test_secrets_are_made_once_and_only_we_can_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = local_secrets.ensure(tmp_path)

    assert local_secrets.ensure(tmp_path) == first
    assert (tmp_path / local_secrets.FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert local_secrets.sender_env(first)["SECRETS_KEY"] == first.secrets_key
    monkeypatch.setenv("SECRETS_KEY", "of-my-own")
    assert "SECRETS_KEY" not in local_secrets.sender_env(first)


def test_damaged_secrets_are_an_error_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / local_secrets.FILE_NAME).write_text("{")

    with pytest.raises(supervisor.StackError, match="damaged"):
        local_secrets.ensure(tmp_path)

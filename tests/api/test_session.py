"""Who am I here: with no authentication, with a key, and without the key that is needed."""

from services.api import access
from tests.api.conftest import Api
from tests.fixtures import client, stack

ADMIN = "test-admin-key-of-more-than-32-characters"


def test_without_authentication_everybody_has_every_scope(api: Api) -> None:
    answer = client.call(api.url, "GET", "/session")

    assert answer.status == 200
    found = answer.body
    assert (found["auth_mode"], found["caller"]) == ("none", None)
    assert found["scopes"] == sorted(access.EVERY_SCOPE)
    assert found["faults_enabled"] is False
    assert found["started_at"] <= found["now"]
    assert found["version"]
    assert found["instance"]


def test_any_key_that_is_in_force_may_ask_and_nobody_else(system: stack.System) -> None:
    url = system.start("api", AUTH_MODE="keys", ADMIN_API_KEY=ADMIN).url

    def ask(key: str) -> client.Answer:
        return client.call(url, "GET", "/session", headers={"Authorization": f"Bearer {key}"})

    made = client.call(
        url,
        "POST",
        "/keys",
        {"name": "metrics", "scopes": ["metrics:read"]},
        headers={"Authorization": f"Bearer {ADMIN}"},
    )
    own = ask(made.body["key"])

    assert (own.status, own.body["caller"], own.body["scopes"]) == (
        200,
        "metrics",
        ["metrics:read"],
    )
    assert ask(ADMIN).body["scopes"] == sorted(access.EVERY_SCOPE)
    assert ask("onc_unknown").status == 401
    assert client.call(url, "GET", "/session").status == 401
    # The console's files hold no data: its sign-in page must be readable without a key.
    assert client.call(url, "GET", "/console/").status in {200, 503}
    assert client.call(url, "GET", "/overview").status == 401

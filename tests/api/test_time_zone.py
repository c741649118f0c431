from tests.fixtures import client, stack

NEVER = "9999-12-31T23:59:59Z"


def test_moments_are_in_utc_whatever_the_servers_time_zone(system: stack.System) -> None:
    with system.database.connect() as conn:
        conn.execute(f"alter database {system.database.name} set timezone = 'Asia/Tokyo'".encode())
    api = system.start("api")
    body = {"name": "k", "scopes": ["events:read"], "expires_at": NEVER}

    made = client.call(api.url, "POST", "/keys", body)

    assert made.status == 201, made.body
    assert made.body["expires_at"] == NEVER
    [listed] = client.call(api.url, "GET", "/keys").body["keys"]
    assert listed["expires_at"] == NEVER
    assert listed["created_at"].endswith("Z")

"""Idempotency keys live as long as they are kept for, and no longer."""

from tests.api import samples
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

OLD_KEYS = """
    insert into idempotency_keys (scope, key, request_hash, status_code, response_body, created_at)
    select 'POST /orders', 'old-' || n, sha256('x'), 201, '{}', now() - interval '25 hours'
    from generate_series(1, 500) n"""
SWEEPS = {"IDEMPOTENCY_SWEEP_SECONDS": "0.1", "IDEMPOTENCY_SWEEP_ROWS": "40"}


def test_old_keys_are_deleted_and_young_ones_stay(system: stack.System) -> None:
    with system.database.connect() as conn:
        conn.execute(OLD_KEYS.encode())
    urls = [system.start("api", wait=True, **SWEEPS).url for _ in range(3)]
    young = {"Idempotency-Key": "young"}
    first = client.call(urls[0], "POST", "/orders", samples.order(), headers=young)
    eventually(
        lambda: system.database.value("select count(*) from idempotency_keys") == 1,
        what="the old keys to be gone",
    )
    again = client.call(urls[1], "POST", "/orders", samples.order(), headers=young)
    assert again.body == first.body
    assert again.headers["idempotent-replayed"] == "true"


def test_a_second_api_does_not_wait_for_the_one_that_deletes(system: stack.System) -> None:
    with system.database.connect() as conn:
        conn.execute(OLD_KEYS.encode())
    with system.database.connect(autocommit=False) as other:
        other.execute("select pg_advisory_xact_lock(hashtext('oncely.idempotency_retention'))")
        api = system.start("api", wait=True, **SWEEPS)
        eventually(
            lambda: system.database.value(
                "select count(*) from pg_stat_activity where query like '%%idempotency_retention%%'"
                " and application_name = 'oncely-api-reads' and datname = current_database()"
            ),
            what="the api to have looked",
        )
        blocked = (
            "select count(*) from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0"
        )
        assert system.database.value(blocked + " and datname = current_database()") == 0
        assert system.database.value("select count(*) from idempotency_keys") == 500
        samples.create_order(api.url)
    eventually(
        lambda: system.database.value("select count(*) from idempotency_keys") == 0,
        what="the next look to delete them",
    )

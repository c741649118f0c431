"""Acts that meet others crosswise: run again, and given up with a word that says so."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.api import background, database_pool, health, problems, transactions
from tests.api import deliveries, rules
from tests.api.conftest import Api
from tests.fixtures import client, deadlines
from tests.fixtures.deadlines import eventually

WAITING = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    " and application_name = 'oncely-api-reads' and datname = current_database()"
)


def test_a_retry_that_is_ended_as_a_deadlock_is_run_again(api: Api) -> None:
    event_id = rules.accept_event(api.url)
    rule = rules.create(api.url, event_type="no.such.type")
    version_id = api.database.value("select id from rule_versions where rule_id = %s", rule["id"])
    delivery_id = deliveries.insert(api.database, event_id, rule["id"], version_id, state="failed")
    with ThreadPoolExecutor(1) as pool, api.database.connect(autocommit=False) as other:
        other.execute("select from events where id = %s for update", [event_id])
        retried = pool.submit(client.call, api.url, "POST", f"/deliveries/{delivery_id}/retry")
        # Who has waited for a second looks, and ends itself: the api waits first.
        deadlines.eventually(lambda: api.database.value(WAITING), what="the retry to wait")
        other.execute("update deliveries set last_status = 500 where id = %s", [delivery_id])
        other.commit()
        answer = retried.result()
    assert answer.status == 202, answer
    assert api.database.rows(
        "select state, (select count(*) from audit_log where target = 'deliveries/' || d.id)"
        " from deliveries d where id = %s",
        delivery_id,
    ) == [("pending", 1)]


@pytest.mark.parametrize(
    ("sqlstate", "tries", "slug"),
    [
        ("40P01", transactions.TRIES, "contended"),
        ("40001", transactions.TRIES, "contended"),
        ("23514", 1, "refused-by-database"),
    ],
)
def test_an_act_is_tried_three_times_only_where_that_can_help(
    api: Api, sqlstate: str, tries: int, slug: str
) -> None:
    met = 0

    async def act(conn: database_pool.Conn) -> None:
        nonlocal met
        met += 1
        statement = f"do $$ begin raise exception 'x' using errcode = '{sqlstate}'; end $$"
        await conn.execute(statement.encode())

    async def run() -> None:
        pool = database_pool.make_pool(
            api.database.url("oncely_api"),
            application_name="test",
            size_max=1,
            wait_seconds=5,
            statement_ms=5000,
        )
        async with pool:
            await transactions.run(pool, act)

    with pytest.raises(problems.Problem) as caught:
        asyncio.run(run())
    assert (met, caught.value.slug) == (tries, slug)


class _Careless(background.Background):
    async def run(self) -> None:
        raise ZeroDivisionError


def test_a_background_task_that_dies_is_seen() -> None:
    async def run() -> list[str]:
        parts = [_Careless(name="careless"), background.Background(name="idle")]
        parts[0].start()
        found = await asyncio.to_thread(
            eventually, lambda: health.reasons_of(parts), what="the end of the task"
        )
        for part in parts:
            await part.close()
        return found

    assert asyncio.run(run()) == ["the task careless died: see the log, restart"]

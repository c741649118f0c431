"""Backtests: their counts are those of looking at every event by itself, whoever is killed."""

import os
import random
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from cli.stack import services
from services.api.queries import backtest_pages
from tests.api import history
from tests.api.conftest import Api
from tests.fixtures import client, deadlines, stack

TICKS = 30_000
EXAMPLES_MAX = 20
COUNTS = (
    "examined", "both", "neither", "gained", "lost", "changed", "not_compared",
    "candidate_errors", "baseline_errors", "not_reconstructed",
)  # fmt: skip
# Small pages, so that a job is seen while it runs; as little memory as an operator may set.
ENV: dict[str, Any] = {
    "BACKTEST_PAGE_ROWS": "200",
    "BACKTEST_LEASE_SECONDS": "2",
    "BACKTEST_MEMORY_MB": "256",
    "BACKTEST_POLL_SECONDS": "0.1",
}
EVERY_SEVENTH = {"==": [{"%": [{"var": "n"}, 7]}, 0]}
EVERY_FIFTH = {"==": [{"%": [{"var": "n"}, 5]}, 0]}


@pytest.fixture(scope="module")
def system(
    servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stack.System]:
    with stack.fresh_database(servers.postgres) as database:
        made = stack.System(
            database=database,
            topics=stack.Topics(prefix="backtests.", bootstrap_servers=servers.bootstrap_servers),
            log_dir=tmp_path_factory.mktemp("backtests"),
        )
        yield made
        made.stop()


@pytest.fixture(scope="module")
def process(system: stack.System) -> services.ServiceProcess:
    return system.start("api", **ENV)


@pytest.fixture(scope="module")
def api(system: stack.System, process: services.ServiceProcess) -> Api:
    return Api(url=process.url, database=system.database)


@pytest.fixture(scope="module")
def ticks(api: Api) -> str:
    """A rule over many events: its published version wants every fifth, the draft every seventh."""
    history.insert_ticks(api.database, event_type="tick", count=TICKS)
    rule_id, _ = history.insert_rule(
        api.database,
        history.version(EVERY_FIFTH, event_type="tick"),
        history.version(EVERY_SEVENTH, event_type="tick", state="draft"),
    )
    return rule_id


def _require_tick_counts(job: dict[str, Any]) -> None:
    sevens, fives, both = TICKS // 7, TICKS // 5, TICKS // 35
    assert job["state"] == "done", job
    assert (job["examined"], job["total"], job["progress"]) == (TICKS, TICKS, 1.0)
    assert (job["both"], job["gained"], job["lost"]) == (both, sevens - both, fives - both)
    assert job["neither"] == TICKS - sevens - fives + both


def _child(process: services.ServiceProcess) -> psutil.Process | None:
    assert process.child.pid is not None
    for child in psutil.Process(process.child.pid).children():
        if "services.api.backtests.worker" in child.cmdline():
            return child
    return None


def _half_way(url: str, place: str) -> dict[str, Any] | None:
    job = client.call(url, "GET", place).body
    assert job["state"] in {"queued", "running"}, "the job was over before the test looked"
    return job if job["examined"] > 0 else None


def _examples(url: str, place: str, kind: str) -> list[str]:
    answer = client.call(url, "GET", f"{place}/examples?kind={kind}")
    return [example["event_id"] for example in answer.body["examples"]]


def _varied(number: int, randomness: random.Random) -> tuple[str, Any]:
    amounts: list[Any] = [
        number, number * 100, -number, 0, 0.5, str(number), "x", None, True, [], [number],
        {"value": number}, {},
    ]  # fmt: skip
    data: dict[str, Any] = {"country": randomness.choice(["BR", "DE", None, 7])}
    if randomness.random() < 0.9:
        data["amount"] = randomness.choice(amounts)
    if randomness.random() < 0.3:
        data["items"] = [{"price": randomness.choice(amounts)} for _ in range(3)]
    event_type = randomness.choice(["pay.card", "pay.card.failed", "pay.cash", "pay", "other"])
    return event_type, randomness.choice([data, data, data, data, [data], number, None])


def _kinds(candidate: dict[str, Any], baseline: dict[str, Any]) -> list[str]:
    """What an event must count as, told from the two answers of POST /rules/test alone."""
    mine, theirs = (
        answer["outcome"] if answer["type_matches"] else "not_matched"
        for answer in (candidate, baseline)
    )
    failed = [
        counter
        for counter, outcome in (("candidate_errors", mine), ("baseline_errors", theirs))
        if outcome == "failed"
    ]
    if failed:
        return [*failed, "not_compared"]
    if mine != theirs:
        return ["gained" if mine == "matched" else "lost"]
    if mine == "not_matched":
        return ["neither"]
    return ["both", "changed"] if candidate["actions"] != baseline["actions"] else ["both"]


def test_counts_and_examples_are_those_of_testing_every_event(api: Api) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    randomness = random.Random(seed)
    events = [_varied(number, randomness) for number in range(300)]
    ids = history.post_events(api.url, events)
    history.expire(api.database, ids[17])
    action = {"type": "log", "key": "log", "params": {"message": "{{ data.country }}"}}
    large = {">": [{"var": "amount"}, 100]}
    rule_id, _ = history.insert_rule(
        api.database,
        history.version(large, event_type="pay.card"),
        history.version(
            {"or": [{"==": [{"var": "country"}, "BR"]}, large]},
            event_type="pay.*",
            state="draft",
            actions=[action],
        ),
    )

    place, job = history.run_backtest(api.url, rule_id)

    expected: Counter[str] = Counter()
    examples: dict[str, list[tuple[str, str]]] = {}
    for event_id, (event_type, _) in zip(ids, events, strict=True):
        if not event_type.startswith("pay."):
            continue
        if event_id == ids[17]:
            kinds = ["not_reconstructed"]
        else:
            kinds = _kinds(*(
                client.call(
                    api.url,
                    "POST",
                    "/rules/test",
                    {"rule_id": rule_id, "version": version, "event_id": event_id},
                ).body
                for version in (2, 1)
            ))  # fmt: skip
        expected.update(["examined", *kinds])
        for kind in kinds:
            examples.setdefault(kind, []).append((event_type, event_id))
    assert {name: job[name] for name in COUNTS} == {name: expected[name] for name in COUNTS}
    assert job["total"] == job["examined"]
    assert expected["gained"] > 0, "events must be varied enough to say anything"
    assert expected["candidate_errors"] > 0
    for counter, kind in (
        ("gained", "gained"),
        ("lost", "lost"),
        ("changed", "changed"),
        ("candidate_errors", "candidate_error"),
        ("baseline_errors", "baseline_error"),
        ("not_reconstructed", "not_reconstructed"),
    ):
        # Type by type, each from its oldest event on; shown by id.
        first = sorted(examples.get(counter, []))[:EXAMPLES_MAX]
        assert _examples(api.url, place, kind) == sorted(event_id for _, event_id in first)


def test_both_versions_are_traced_side_by_side(api: Api) -> None:
    event_type = f"side-{uuid.uuid4()}"
    ids = history.post_events(api.url, [(event_type, {"n": 5}), (event_type, {"n": 6})])
    rule_id, _ = history.insert_rule(
        api.database,
        history.version({"==": [{"var": "n"}, 6]}, event_type=event_type),
        history.version({"==": [{"var": "n"}, 5]}, event_type=event_type, state="shadow"),
    )
    place, job = history.run_backtest(api.url, rule_id)
    assert (job["version"], job["against"], job["gained"], job["lost"]) == (2, 1, 1, 1)

    seen = client.call(api.url, "GET", f"{place}/events/{ids[0]}").body

    assert seen["kinds"] == ["gained"]
    assert seen["candidate"]["matched"] is True
    assert seen["baseline"]["matched"] is False
    assert seen["candidate"]["trace"]
    assert [action["type"] for action in seen["candidate"]["actions"]] == ["log"]
    history.expire(api.database, ids[0])
    assert client.call(api.url, "GET", f"{place}/events/{ids[0]}").status == 409
    assert client.call(api.url, "GET", f"{place}/events/{uuid.uuid4()}").status == 404


def test_killed_child_is_replaced_and_nothing_is_counted_twice(
    api: Api, process: services.ServiceProcess, ticks: str
) -> None:
    place = history.start_backtest(api.url, ticks)
    deadlines.eventually(lambda: _half_way(api.url, place), what="the job to count")
    child = _child(process)
    assert child is not None
    child.kill()
    _require_tick_counts(history.wait_for(api.url, place, "done", "failed"))
    assert len(_examples(api.url, place, "gained")) == EXAMPLES_MAX


def test_killed_api_leaves_its_job_to_another(
    system: stack.System, process: services.ServiceProcess, ticks: str
) -> None:
    other = system.start("api", **ENV)
    place = history.start_backtest(other.url, ticks)
    deadlines.eventually(lambda: _half_way(other.url, place), what="the job to count")
    owner, left = (other, process) if _child(other) is not None else (process, other)
    owner.kill()
    _require_tick_counts(history.wait_for(left.url, place, "done", "failed"))
    other.stop()
    process.start()
    process.wait_ready()


def test_drained_api_gives_its_job_back(system: stack.System, ticks: str, api: Api) -> None:
    # Large pages: it is stopped within one, and gives back what it counted of it.
    large: dict[str, Any] = {**ENV, "BACKTEST_PAGE_ROWS": "5000"}
    own = system.start("api", **large)
    place = history.start_backtest(own.url, ticks)
    deadlines.eventually(lambda: _half_way(own.url, place), what="the job to count")
    assert own.stop() == 0
    _require_tick_counts(history.wait_for(api.url, place, "done", "failed"))


def test_frozen_runner_that_wakes_up_writes_nothing_more(
    api: Api, process: services.ServiceProcess, ticks: str
) -> None:
    place = history.start_backtest(api.url, ticks)
    deadlines.eventually(lambda: _half_way(api.url, place), what="the job to count")
    child = _child(process)
    assert child is not None
    child.suspend()
    # Somebody else has the job now, by the database's word.
    job_id = place.rpartition("/")[2]
    whole = "select backtests::text from backtests where id = %s"
    update = "update backtests set {} where id = %s returning id"
    lost = "runner = 'other', heartbeat_at = now() + interval '1 minute'"
    api.database.rows(update.format(lost), job_id)
    before = api.database.value(whole, job_id)
    child.resume()
    child.wait(30)
    with api.database.connect("oncely_api") as conn:
        mine = backtest_pages.Mine(conn, job_id=uuid.UUID(job_id), runner="nobody")
        assert mine.take(seconds=60) is None
        mine.begin(total=1, first_id=uuid.UUID(int=0))
        mine.end(state="cancelled")
    assert api.database.value(whole, job_id) == before
    api.database.rows(update.format("heartbeat_at = now() - interval '1 hour'"), job_id)
    _require_tick_counts(history.wait_for(api.url, place, "done", "failed"))


def test_worker_without_the_job_does_nothing(api: Api, ticks: str) -> None:
    place, before = history.run_backtest(api.url, ticks, {"events_max": 10})
    env = {**os.environ, "DATABASE_URL": api.database.url("oncely_api")}
    command = [sys.executable, "-m", "services.api.backtests.worker"]
    done = subprocess.run(
        [*command, place.rpartition("/")[2], "nobody"], env=env, timeout=30, check=False
    )
    assert done.returncode == 0
    assert client.call(api.url, "GET", place).body == before


def test_cancelled_job_keeps_what_it_counted(api: Api, ticks: str) -> None:
    place = history.start_backtest(api.url, ticks)
    deadlines.eventually(lambda: _half_way(api.url, place), what="the job to count")
    assert client.call(api.url, "POST", f"{place}/cancel").status == 202
    job = history.wait_for(api.url, place, "cancelled")
    assert 0 < job["examined"] < TICKS
    assert job["finished_at"] is not None
    again = client.call(api.url, "POST", f"{place}/cancel")
    assert (again.status, again.body["state"]) == (409, "cancelled")


def test_no_more_jobs_wait_than_may(system: stack.System, ticks: str) -> None:
    own = system.start("api", **ENV, BACKTESTS_QUEUED_MAX="2")
    path = f"/rules/{ticks}/backtests"
    answers = client.at_once(6, lambda _: client.call(own.url, "POST", path, {}))
    assert sorted(answer.status for answer in answers) == [202, 202] + [503] * 4
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.body["type"] == "/problems/queue-full"
    for answer in answers:
        if answer.status == 202:
            client.call(own.url, "POST", f"{answer.headers['location']}/cancel")
            history.wait_for(own.url, answer.headers["location"], "cancelled", "done")
    own.stop()


def test_newest_events_are_looked_at_when_there_are_more(api: Api, ticks: str) -> None:
    _, job = history.run_backtest(api.url, ticks, {"events_max": 70})
    assert (job["examined"], job["gained"], job["both"]) == (70, 8, 2)
    assert any("newest 70" in note for note in job["notes"])


def test_received_bounds_are_ids_of_that_time(api: Api) -> None:
    event_type = f"bounds-{uuid.uuid4()}"
    ids = history.post_events(api.url, [(event_type, {})])
    moment = api.database.value(
        "select to_char(uuid_extract_timestamp(%s) at time zone 'UTC',"
        ' \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')',
        ids[0],
    )
    rule_id, _ = history.insert_rule(api.database, history.version(True, event_type=event_type))
    examined = [
        history.run_backtest(api.url, rule_id, {"against": None, bound: moment})[1]["examined"]
        for bound in ("received_after", "received_before")
    ]
    assert examined == [1, 0]


def test_nothing_published_means_that_everything_is_gained(api: Api) -> None:
    event_type = f"new-{uuid.uuid4()}"
    history.post_events(api.url, [(event_type, {}), (event_type, {})])
    rule_id, _ = history.insert_rule(
        api.database, history.version(True, event_type=event_type, state="draft")
    )
    _, job = history.run_backtest(api.url, rule_id)
    assert (job["against"], job["gained"], job["examined"]) == (None, 2, 2)
    assert any("nothing" in note for note in job["notes"])
    listed = client.call(api.url, "GET", f"/rules/{rule_id}/backtests").body
    assert [one["id"] for one in listed["backtests"]] == [job["id"]]


def test_version_that_cannot_be_compiled_fails_the_job_with_its_reason(api: Api) -> None:
    rule_id, _ = history.insert_rule(
        api.database, history.version({"method": ["x", "lower"]}, state="draft")
    )
    _, job = history.run_backtest(api.url, rule_id)
    assert job["state"] == "failed"
    assert "method" in job["error"]


def test_job_whose_process_keeps_dying_is_given_up(api: Api) -> None:
    rule_id, ids = history.insert_rule(api.database, history.version(True))
    job_id = api.database.value(
        "insert into backtests (id, rule_id, candidate_id, received_before, events_max, runs)"
        " values (uuidv7(), %s, %s, now(), 10, 3) returning id",
        rule_id,
        ids[0],
    )
    job = history.wait_for(api.url, f"/backtests/{job_id}", "failed")
    assert "3 times" in job["error"]


def test_large_events_fit_into_the_memory_of_the_process(api: Api) -> None:
    event_type = f"large-{uuid.uuid4()}"
    with api.database.connect() as conn:
        conn.execute(
            """
            insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type,
              payload, payload_hash, traceparent)
            select id, 'bulk', id::text, id::text, 1, %s,
              jsonb_build_object('n', n, 'text', repeat('x', 1000000)), sha256(''), '00'
            from (select uuidv7() as id, n from generate_series(1, 150) as n) t""",
            [event_type],
        )
    rule_id, _ = history.insert_rule(
        api.database, history.version(EVERY_FIFTH, event_type=event_type)
    )
    _, job = history.run_backtest(api.url, rule_id, {"against": None})
    assert (job["state"], job["examined"], job["gained"]) == ("done", 150, 30), job


def test_examples_go_page_by_page(api: Api, ticks: str) -> None:
    place, _ = history.run_backtest(api.url, ticks, {"events_max": 100})
    whole = client.call(api.url, "GET", f"{place}/examples").body["examples"]
    seen: list[Any] = []
    cursor = ""
    while True:
        page = client.call(api.url, "GET", f"{place}/examples?limit=7{cursor}").body
        seen += page["examples"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == whole
    assert {example["kind"] for example in whole} == {"gained", "lost"}
    assert client.call(api.url, "GET", f"{place}/examples?kind=surprise").status == 422


def test_body_is_refused_with_every_flaw(api: Api, ticks: str) -> None:
    body = {
        "version": 0,
        "against": "1",
        "received_after": "2026-01-01T00:00:00",
        "received_before": "9999-12-31T23:59:59-12:00",
        "events_max": 10**12,
        "surprise": 1,
    }
    answer = client.call(api.url, "POST", f"/rules/{ticks}/backtests", body)
    assert answer.status == 422
    assert sorted(error["pointer"] for error in answer.body["errors"]) == [
        "/against", "/events_max", "/received_after", "/received_before", "/surprise", "/version",
    ]  # fmt: skip


def test_unknown_rule_version_and_job_are_told(api: Api, ticks: str) -> None:
    def ask(path: str, body: Any) -> client.Answer:
        return client.call(api.url, "POST", path, body)

    assert ask(f"/rules/{uuid.uuid4()}/backtests", {}).status == 404
    path = f"/rules/{ticks}/backtests"
    for body, pointer in (
        ({"version": 9}, "/version"),
        ({"against": 9}, "/against"),
        ({"version": 1}, "/version"),
        ({"version": 2, "against": 2}, "/against"),
    ):
        answer = ask(path, body)
        assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)
    assert client.call(api.url, "GET", f"/backtests/{uuid.uuid4()}").status == 404
    assert client.call(api.url, "GET", "/backtests/x/examples").status == 404
    assert ask(f"/backtests/{uuid.uuid4()}/cancel", None).status == 404

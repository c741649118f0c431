"""Bulk replays: each event of a fixed range once, whoever is killed, at no more than its rate."""

import asyncio
import signal
import urllib.parse
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from services.api.queries import replay_jobs, replay_pages
from services.api.replays import bodies, previews, ranges, runner
from shared import database as shared_database
from tests.api import history, replay_rows
from tests.api.conftest import Api
from tests.fixtures import client, deadlines, stack
from tests.fixtures.watcher import Watcher

MANY = 100_000
# As fast as it goes: what is measured elsewhere is not waited for here.
ENV: dict[str, Any] = {
    "REPLAY_RATE_PER_SECOND_MAX": "100000",
    "REPLAY_POLL_SECONDS": "0.1",
    "REPLAY_LEASE_SECONDS": "1",
    "REPLAYS_QUEUED_MAX": "4",
}
ONCE = """
    select count(*), count(distinct r.event_id), min(r.replay), max(r.replay),
      (select count(*) from outbox o join events e on e.id = o.event_id
        where e.event_type = %s and o.replay = 1),
      (select count(*) from events e
        where e.event_type = %s and e.status = 'pending' and e.replay = 1)
    from event_replays r join events e on e.id = r.event_id
    where e.event_type = %s"""


@pytest.fixture(scope="module")
def system(
    servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stack.System]:
    with stack.fresh_database(servers.postgres) as database:
        made = stack.System(
            database=database,
            topics=stack.Topics(prefix="replays.", bootstrap_servers=servers.bootstrap_servers),
            log_dir=tmp_path_factory.mktemp("replays"),
        )
        yield made
        made.stop()


@pytest.fixture(scope="module")
def api(system: stack.System) -> Api:
    return Api(url=system.start("api", **ENV).url, database=system.database)


def _type() -> str:
    return f"bulk-{uuid.uuid4()}"


def _start(api: Api, **body: Any) -> client.Answer:
    made = {"reason": "a receiver was down", "rate_per_second": 100_000, **body}
    return client.call(api.url, "POST", "/replays", made)


def _place(answer: client.Answer) -> str:
    assert answer.status == 202, answer
    return answer.headers["location"]


def _run(api: Api, **body: Any) -> dict[str, Any]:
    return history.wait_for(api.url, _place(_start(api, **body)), "done", "failed")


def _send(api: Api, path: str, method: str = "POST", body: Any = None) -> client.Answer:
    return client.call(api.url, method, path, body)


def _counts(job: dict[str, Any]) -> tuple[int, ...]:
    return tuple(
        job[name]
        for name in ("examined", "replayed", "skipped_open", "skipped_expired", "skipped_unapplied")
    )


def _at_least(api: Api, place: str, count: int) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        job = client.call(api.url, "GET", place).body
        return job if job["examined"] >= count else None

    found = deadlines.eventually(reached, what=f"{place} to have examined {count}")
    assert found is not None
    return found


def test_100_000_events_killed_half_way_and_resumed_are_replayed_once_each(
    system: stack.System,
) -> None:
    event_type = _type()
    ids = replay_rows.insert_events(system.database, event_type=event_type, count=MANY)
    own = system.start(
        "api",
        name="api-killed",
        FAULTS_ENABLED="true",
        FAILPOINTS="replay.mid_range=100*off->1*kill",
        **ENV,
    )
    body = {"filter": {"type": event_type}, "reason": "test", "rate_per_second": 100_000}
    place = _place(client.call(own.url, "POST", "/replays", body))
    assert own.child.wait(deadline_seconds=60) == -signal.SIGKILL
    half = system.database.rows(ONCE, event_type, event_type, event_type)[0]
    assert half == (MANY // 2, MANY // 2, 1, 1, MANY // 2, MANY // 2)
    other = system.start("api", name="api-resumes", **ENV)
    job = history.wait_for(other.url, place, "done", "failed")
    assert _counts(job) == (MANY, MANY, 0, 0, 0)
    assert (job["state"], job["total"], job["progress"]) == ("done", MANY, 1.0)
    whole = system.database.rows(ONCE, event_type, event_type, event_type)[0]
    assert whole == (MANY, MANY, 1, 1, MANY, MANY)
    order = "select event_id::text from outbox where event_type = %s order by id"
    assert [row[0] for row in system.database.rows(order, event_type)] == ids
    audited = "select detail from audit_log where action = 'replay.done' and target = %s"
    assert system.database.value(audited, place[1:])["replayed"] == MANY
    other.stop()


def test_only_finished_events_of_the_range_are_replayed(api: Api) -> None:
    event_type = _type()
    done = replay_rows.insert_events(api.database, event_type=event_type, count=6)
    replay_rows.insert_events(api.database, event_type=event_type, count=2, status="failed")
    replay_rows.insert_events(api.database, event_type=event_type, count=3, status="pending")
    history.expire(api.database, done[0])
    preview = _send(api, "/replays/preview", body={"filter": {"type": event_type}}).body
    assert (preview["count"], preview["replayable"], preview["expired"]) == (11, 7, 1)
    assert preview["by_status"] == {"pending": 3, "processed": 6, "failed": 2}
    assert preview["by_type"] == {event_type: 11}
    job = _run(api, filter={"type": event_type, "status": "failed"})
    assert _counts(job) == (2, 2, 0, 0, 0)
    job = _run(api, filter={"type": event_type})
    assert _counts(job) == (11, 5, 5, 1, 0)
    assert len(job["notes"]) == 2
    page = client.call(api.url, "GET", f"/replays/{job['id']}/events?limit=3").body
    assert [one["event_id"] for one in page["events"]] == done[1:4]
    assert {(one["status"], one["verdict"]) for one in page["events"]} == {
        ("pending", "not_applied")
    }
    rest = client.call(
        api.url, "GET", f"/replays/{job['id']}/events?limit=3&cursor={page['next_cursor']}"
    ).body
    assert ([one["event_id"] for one in rest["events"]], rest["next_cursor"]) == (done[4:], None)


def test_without_effects_an_event_with_an_open_dead_letter_is_left_alone(api: Api) -> None:
    event_type = _type()
    ids = replay_rows.insert_events(api.database, event_type=event_type, count=3, status="failed")
    api.database.rows(
        "insert into dead_letters (id, stage, event_id, topic, kafka_partition, kafka_offset,"
        " payload_bytes, error_class, error_message) values (uuidv7(), 'consumer', %s, 't', 0, 0,"
        " 0, 'E', 'e') returning id",
        ids[1],
    )
    job = _run(api, filter={"type": event_type}, effects="none")
    assert _counts(job) == (3, 2, 1, 0, 0)
    letter = "select state from dead_letters where event_id = %s"
    assert api.database.value(letter, ids[1]) == "open"


def test_under_one_key_there_is_one_job(api: Api) -> None:
    body = {"filter": {"type": _type()}, "reason": "test"}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    answers = client.at_once(
        4, lambda _: client.call(api.url, "POST", "/replays", body, headers=key)
    )
    assert {answer.status for answer in answers} == {202}
    assert len({_place(answer) for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    other = client.call(api.url, "POST", "/replays", {**body, "reason": "x"}, headers=key)
    assert (other.status, other.body["type"]) == (422, "/problems/idempotency-key-reused")


def test_job_whose_filter_cannot_be_read_fails_alone(api: Api) -> None:
    job_id = api.database.value(
        "insert into replays (id, filter, mode, effects, reason, requested_by, rate_per_second,"
        " events_max) values (uuidv7(), '{}', 'current', 'dedupe', 'x', 'x', 1, 1)"
        " returning id::text"
    )
    job = history.wait_for(api.url, f"/replays/{job_id}", "failed")
    assert "received_before" in job["error"]
    assert _run(api, filter={"type": _type()})["state"] == "done"
    assert client.call(api.url, "GET", "/health/ready").status == 200


def test_job_whose_page_takes_too_long_is_paused_and_goes_on(api: Api) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=3)
    with api.database.connect() as conn:
        conn.execute(
            "create function too_slow() returns trigger language plpgsql as $$ begin raise"
            " exception 'too slow' using errcode = 'query_canceled'; end $$"
        )
        conn.execute(
            "create trigger too_slow before update of position_id on replays"
            " execute function too_slow()"
        )
    with Watcher(api.url) as watcher:
        watcher.subscribe({"kinds": ["event", "replay_job"], "event_types": [event_type]})
        place = _place(_start(api, filter={"type": event_type}))
        paused = history.wait_for(api.url, place, "paused")
        told = ("replay_job", paused["id"], "paused", None)
        watcher.wait(lambda: told in watcher.updates(), "the end of the page")
        assert {update[0] for update in watcher.updates()} == {"replay_job"}  # it is rolled back
    assert "too slow" in paused["error"]
    assert paused["finished_at"] is None
    audited = "select detail ->> 'error' from audit_log where action = 'replay.paused'"
    assert "too slow" in api.database.value(audited)
    with api.database.connect() as conn:
        conn.execute("drop trigger too_slow on replays")
    assert _send(api, f"{place}/resume").body["error"] is None
    assert _counts(history.wait_for(api.url, place, "done")) == (3, 3, 0, 0, 0)


@pytest.mark.parametrize("end", [{}, {"received_before": "2999-01-01T00:00:00Z"}])
def test_what_arrives_after_the_job_is_not_touched(api: Api, end: dict[str, str]) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=4)
    place = _place(_start(api, filter={"type": event_type, **end}, rate_per_second=1))
    replay_rows.insert_events(api.database, event_type=event_type, count=4)
    faster = _send(api, place, "PATCH", {"rate_per_second": 1000})
    assert (faster.status, faster.body["rate_per_second"]) == (200, 1000)
    assert _counts(history.wait_for(api.url, place, "done")) == (4, 4, 0, 0, 0)


def test_a_job_is_no_faster_than_its_rate(api: Api) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=60)
    job = _run(api, filter={"type": event_type}, rate_per_second=100)
    assert _counts(job) == (60, 60, 0, 0, 0)
    took = "select finished_at - started_at >= interval '0.5 s' from replays where id = %s"
    assert api.database.value(took, job["id"])


def test_each_filter_narrows(api: Api) -> None:
    event_type, other = _type(), _type()
    ids = replay_rows.insert_events(api.database, event_type=event_type, count=5)
    replay_rows.insert_events(api.database, event_type=other, count=5)
    api.database.rows("update events set subject = %s where id = %s returning id", other, ids[1])
    rule_id, [version_id] = history.insert_rule(api.database, history.version(True))
    replay_rows.apply_run(api.database, ids[2], results={version_id: "applied"})
    moment = api.database.value(
        "select to_char((uuid_extract_timestamp(%s) + interval '1 ms') at time zone 'UTC',"
        ' \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')',
        ids[-1],
    )
    for asked, count in (
        ({"subject": other}, 1),
        ({"external_id": ids[0]}, 1),
        ({"rule_id": rule_id}, 1),
        ({"event_ids": [ids[3], ids[3], str(uuid.uuid4())]}, 1),
        ({"type": event_type, "source": "nobody"}, 0),
        ({"type": event_type, "received_before": moment}, 5),
        ({"type": event_type, "received_after": moment}, 0),
    ):
        preview = _send(api, "/replays/preview", body={"filter": asked}).body
        assert preview["count"] == count, asked
        job = _run(api, filter=asked)
        assert job["examined"] == count, asked


def test_a_search_replays_what_the_list_of_events_shows_for_it(api: Api) -> None:
    event_type, others = _type(), _type()
    ids = replay_rows.insert_events(api.database, event_type=event_type, count=4)
    # The job walks over them in more than one look.
    replay_rows.insert_events(api.database, event_type=others, count=runner.WINDOW_ROWS)
    ids += replay_rows.insert_events(api.database, event_type=event_type, count=2, status="failed")
    text = f"{event_type[-8:]}_50% off"
    api.database.rows(
        "update events set subject = case id when %s then %s else %s end where id = any(%s)"
        " returning id",
        ids[1], f"To {text.upper()}", f"To {text.replace('_', 'x')}", [ids[1], ids[2]],
    )  # fmt: skip
    replayed = "select event_id::text from event_replays where job_id = %s order by event_id"
    for asked, wanted in (
        ({"q": text}, [ids[1]]),
        ({"q": event_type[1:].upper(), "status": "failed"}, ids[4:]),
        ({"q": event_type[1:], "external_id": ids[0]}, ids[:1]),
    ):
        listed = client.call(api.url, "GET", f"/events?{urllib.parse.urlencode(asked)}").body
        assert [event["id"] for event in reversed(listed["events"])] == wanted
        preview = _send(api, "/replays/preview", body={"filter": asked}).body
        counts = tuple(preview[name] for name in ("count", "replayable", "exact"))
        assert counts == (len(wanted), len(wanted), True)
        job = _run(api, filter=asked)
        assert _counts(job) == (len(wanted), len(wanted), 0, 0, 0)
        assert {**job["filter"], **asked} == job["filter"]
        assert [row[0] for row in api.database.rows(replayed, job["id"])] == wanted


def test_preview_of_a_search_says_when_it_did_not_look_at_the_whole_range(
    database: stack.Database,
) -> None:
    event_type = _type()
    ids = replay_rows.insert_events(database, event_type=event_type, count=9)
    database.rows("update events set subject = 'needle' where id = any(%s) returning id", ids[::4])
    limits = bodies.Limits(rate_default=1, rate_max=1, events_max=100)

    async def look(searched_max: int, **changes: Any) -> previews.Preview:
        body = {"filter": {"q": "NEEDLE"}, **changes}
        async with await shared_database.connect_async(
            database.url("oncely_api"), application_name="test", autocommit=True
        ) as conn:
            asked = bodies.read_preview(body, limits)
            return await previews.look(conn, asked, searched_max=searched_max)

    whole = asyncio.run(look(9))
    assert (whole.count, whole.exact, whole.notes) == (3, True, [])
    part = asyncio.run(look(8))
    assert (part.count, part.exact, part.at_most_new, len(part.notes)) == (2, False, None, 1)
    # As many as may be replayed were found: what lies beyond them is not taken.
    enough = asyncio.run(look(8, events_max=1))
    assert (enough.count, enough.exact, enough.cut_off) == (1, True, True)


def test_oldest_events_are_replayed_when_there_are_more_than_may(api: Api) -> None:
    event_type = _type()
    ids = replay_rows.insert_events(api.database, event_type=event_type, count=7)
    body = {"filter": {"type": event_type}, "events_max": 3}
    preview = _send(api, "/replays/preview", body=body).body
    assert (preview["count"], preview["cut_off"]) == (3, True)
    job = _run(api, **body)
    assert (job["total"], job["replayed"]) == (3, 3)
    replayed = "select event_id::text from event_replays where job_id = %s order by event_id"
    assert [row[0] for row in api.database.rows(replayed, job["id"])] == ids[:3]


def test_original_skips_what_was_never_applied_and_pins_what_was(api: Api) -> None:
    event_type = _type()
    ids = replay_rows.insert_events(api.database, event_type=event_type, count=2)
    rule_id, [version_id] = history.insert_rule(api.database, history.version(True))
    replay_rows.apply_run(api.database, ids[0], results={version_id: "applied"})
    job = _run(api, filter={"type": event_type}, mode="original")
    assert _counts(job) == (2, 1, 0, 0, 1)
    stored = "select event_id::text, version_ids, mode from event_replays where job_id = %s"
    assert api.database.rows(stored, job["id"]) == [(ids[0], [version_id], "original")]
    body = {"filter": {"type": event_type}, "mode": "pinned", "rule_versions": {rule_id: 1}}
    job = _run(api, **body)
    assert _counts(job) == (2, 1, 1, 0, 0)
    assert api.database.rows(stored, job["id"]) == [(ids[1], [version_id], "pinned")]


def test_preview_tells_which_deliveries_are_there_and_which_rules_look(api: Api) -> None:
    event_type = _type()
    ids = replay_rows.insert_events(api.database, event_type=event_type, count=3)
    rule_id, [version_id] = history.insert_rule(
        api.database,
        history.version(
            True,
            event_type=event_type,
            actions=[{"key": key, "type": "call_webhook"} for key in ("notify", "tell")]
            + [history.LOG],
        ),
    )
    for event_id in ids[:2]:
        api.database.rows(
            "insert into deliveries (id, event_id, event_type, rule_id, version_id, action_key,"
            " kind, destination, traceparent, state, finished_at) values (uuidv7(), %s, %s, %s,"
            " %s, 'notify', 'webhook', 'https://example.com:443', '', 'confirmed', now())"
            " returning id",
            event_id, event_type, rule_id, version_id,
        )  # fmt: skip
    body = {"filter": {"type": event_type}, "effects": "force"}
    preview = _send(api, "/replays/preview", body=body).body
    [there] = preview["existing_deliveries"]
    assert (there["rule_id"], there["action_key"], there["deliveries"]) == (rule_id, "notify", 2)
    assert preview["would_send_again"] == 2
    assert preview["at_most_new"] == 3 * 2 - 2
    for changes, most in (({"effects": "none"}, 0), ({"mode": "original"}, None)):
        other = _send(api, "/replays/preview", body={**body, **changes}).body
        assert other["at_most_new"] == most
    assert [(rule["rule_id"], rule["version"]) for rule in preview["rules"]] == [(rule_id, 1)]
    assert api.database.value("select count(*) from replays where effects = 'force'") == 0


def test_job_is_paused_resumed_and_cancelled_along_its_edges(api: Api) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=2000)
    place = _place(_start(api, filter={"type": event_type}, rate_per_second=100))
    _at_least(api, place, 20)
    paused = _send(api, f"{place}/pause")
    assert (paused.status, paused.body["state"]) == (200, "paused")
    count = client.call(api.url, "GET", place).body["examined"]
    assert count == paused.body["examined"]
    again = _send(api, f"{place}/pause")
    assert (again.status, again.body["type"], again.body["state"]) == (
        409,
        "/problems/replay-state",
        "paused",
    )
    assert _send(api, f"{place}/resume").body["state"] == "queued"
    _at_least(api, place, count + 20)
    cancelled = _send(api, f"{place}/cancel").body
    assert (cancelled["state"], cancelled["finished_at"] is not None) == ("cancelled", True)
    for action in ("pause", "resume", "cancel"):
        assert _send(api, f"{place}/{action}").body["state"] == "cancelled"
    assert _send(api, place, "PATCH", {"rate_per_second": 5}).status == 409
    assert client.call(api.url, "GET", place).body["examined"] == cancelled["examined"] < 2000
    acts = "select action from audit_log where target = %s order by id"
    assert [row[0] for row in api.database.rows(acts, place[1:])] == [
        "replay.start", "replay.pause", "replay.resume", "replay.cancel",
    ]  # fmt: skip
    listed = client.call(api.url, "GET", "/replays?state=cancelled&limit=1").body["replays"]
    assert [job["id"] for job in listed] == [place.rpartition("/")[2]]


def test_runner_that_lost_its_job_writes_nothing(api: Api) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=500)
    place = _place(_start(api, filter={"type": event_type}, rate_per_second=100))
    _at_least(api, place, 20)
    # Somebody else has the job now, by the database's word.
    lost = "runner = 'other', heartbeat_at = now() + interval '1 minute'"
    job_id = place.rpartition("/")[2]
    api.database.rows(f"update replays set {lost} where id = %s returning id", job_id)
    before = client.call(api.url, "GET", place).body["examined"]
    # Its next page would have come within a fifth of a second; another job of the same rate takes
    # longer than that.
    other = _type()
    replay_rows.insert_events(api.database, event_type=other, count=60)
    _run(api, filter={"type": other}, rate_per_second=100)
    assert api.database.rows(
        "update replays set heartbeat_at = now() - interval '1 hour', rate_per_second = 100000"
        " where id = %s and examined = %s returning id",
        job_id,
        before,
    )
    job = history.wait_for(api.url, place, "done")
    assert _counts(job) == (500, 500, 0, 0, 0)


def test_drained_api_gives_its_job_back(system: stack.System, api: Api) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=300)
    own = system.start("api", **ENV)
    place = _place(_start(Api(url=own.url, database=api.database), filter={"type": event_type},
                          rate_per_second=100))  # fmt: skip
    _at_least(api, place, 20)
    assert own.stop() == 0
    job = history.wait_for(api.url, place, "done")
    assert _counts(job) == (300, 300, 0, 0, 0)


def test_preview_that_takes_too_long_says_how_to_ask_for_less(
    system: stack.System, api: Api
) -> None:
    own = system.start("api", **ENV, READ_TIMEOUT_MS="10")
    with api.database.connect(autocommit=False) as conn:
        conn.execute("lock table events in access exclusive mode")
        answer = _send(
            Api(url=own.url, database=api.database),
            "/replays/preview",
            body={"filter": {}, "all": True},
        )
    assert (answer.status, answer.body["type"]) == (503, "/problems/deadline")
    assert "narrow the filter" in answer.body["detail"]
    own.stop()


def test_no_more_jobs_wait_than_may(api: Api) -> None:
    event_type = _type()
    replay_rows.insert_events(api.database, event_type=event_type, count=100)
    body = {"filter": {"type": event_type}, "rate_per_second": 1}
    answers = client.at_once(6, lambda _: _start(api, **body))
    assert sorted(answer.status for answer in answers) == [202] * 4 + [503] * 2
    for answer in answers:
        if answer.status == 202:
            assert _send(api, f"{_place(answer)}/cancel").status == 200


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({}, ["/filter", "/reason"]),
        ({"filter": {}, "reason": "x", "all": 1}, ["/all", "/filter"]),
        ({"filter": {"type": "t"}, "reason": "x", "all": True}, ["/all"]),
        ({"filter": [], "reason": "x"}, ["/filter"]),
        (
            {
                "filter": {
                    "type": 1,
                    "status": "pending",
                    "source": "",
                    "subject": "x" * 256,
                    "external_id": "x" * 256,
                    "q": "x",
                    "rule_id": "x",
                    "received_after": "2026-01-01T00:00:00",
                    "received_before": 5,
                    "event_ids": [],
                    "surprise": 1,
                },
                "reason": " ",
                "mode": "pinned",
                "effects": "all",
                "rate_per_second": 0,
                "events_max": 10**9,
                "more": 1,
            },
            [
                "/effects", "/events_max", "/filter/event_ids", "/filter/external_id", "/filter/q",
                "/filter/received_after", "/filter/received_before", "/filter/rule_id",
                "/filter/source", "/filter/status", "/filter/subject", "/filter/surprise",
                "/filter/type", "/more", "/rate_per_second", "/reason", "/rule_versions",
            ],
        ),
        (
            {
                "filter": {
                    "status": ["failed"],
                    "event_ids": ["x", 1],
                    "received_after": "2026-01-02T00:00:00Z",
                    "received_before": "2026-01-01T00:00:00Z",
                },
                "reason": "x",
            },
            ["/filter/event_ids/0", "/filter/event_ids/1", "/filter/received_after",
             "/filter/status"],
        ),
        ({"filter": {"event_ids": ["x"] * 1001}, "reason": "x"}, ["/filter/event_ids"]),
        ({"filter": {"q": "", "external_id": ""}, "reason": "x"},
         ["/filter/external_id", "/filter/q"]),
        ({"filter": {"q": "x" * 101, "external_id": 7}, "reason": "x"},
         ["/filter/external_id", "/filter/q"]),
        ({"filter": {"q": "a\nb"}, "reason": "x"}, ["/filter/q"]),
        (
            {"filter": {"type": "t"}, "reason": "x", "mode": "pinned",
             "rule_versions": {str(uuid.UUID(int=2)): 1}},
            [f"/rule_versions/{uuid.UUID(int=2)}"],
        ),
    ],
)  # fmt: skip
def test_body_is_refused_with_every_flaw(api: Api, body: Any, pointers: list[str]) -> None:
    answer = client.call(api.url, "POST", "/replays", body)
    assert answer.status == 422, answer
    assert sorted(error["pointer"] for error in answer.body["errors"]) == pointers


def test_search_with_a_character_that_no_row_can_hold_is_refused(api: Api) -> None:
    answer = _start(api, filter={"q": "a\0b"})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, "/filter/q")


def test_unknown_job_and_wrong_rate_are_told(api: Api) -> None:
    for job in (str(uuid.uuid4()), "x"):
        assert client.call(api.url, "GET", f"/replays/{job}").status == 404
        assert client.call(api.url, "GET", f"/replays/{job}/events").status == 404
        assert _send(api, f"/replays/{job}/pause").status == 404
        assert _send(api, f"/replays/{job}", "PATCH", {"rate_per_second": 5}).status == 404
    place = f"/replays/{uuid.uuid4()}"
    for body in ({}, {"rate_per_second": None}, {"rate_per_second": 10**6}):
        answer = _send(api, place, "PATCH", body)
        assert answer.body["errors"][0]["pointer"] == "/rate_per_second"
    answer = _send(api, "/replays/preview", body={"filter": {}})
    assert answer.body["errors"][0]["pointer"] == "/filter"
    assert client.call(api.url, "GET", "/replays?state=x").status == 422


def test_pages_are_index_walks_on_a_table_without_statistics(api: Api) -> None:
    now = api.database.value("select now()")
    for found, index in (
        (replay_jobs.Filter(received_before=now, type="t"), "events_by_type"),
        (replay_jobs.Filter(received_before=now, subject="s"), "events_by_subject"),
        (replay_jobs.Filter(received_before=now), "events_pkey"),
    ):
        parameters = {**ranges.of(found).parameters, "after": uuid.UUID(int=0), "window": 5000}
        with api.database.connect("oncely_api") as conn:
            conn.execute("set enable_seqscan = off")
            statement = "explain (costs off) " + replay_pages.window_statement(found)
            plan = "\n".join(row[0] for row in conn.execute(statement.encode(), parameters))
        assert index in plan, plan

"""The ledger as clients see it: lists, one delivery, sending again, settling what is unknown."""

import contextlib
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
import uuid_utils.compat

from shared import database as shared_database
from tests.api import deliveries, rules
from tests.api.conftest import Api
from tests.fixtures import client
from tests.fixtures.watcher import Watcher

REQUEST = '{"method":"POST","url":null,"headers":{"X-A":"1"},"body":{"z":1,"a":2}}'


class Ledger:
    """One applied event and its deliveries, put there by SQL."""

    def __init__(self, api: Api, *, status: str = "failed", applied: bool = True) -> None:
        self.api = api
        rule = rules.create(api.url, event_type="no.such.type")
        self.rule_id = rule["id"]
        self.version_id = api.database.value(
            "select id from rule_versions where rule_id = %s", self.rule_id
        )
        self.event_id = rules.accept_event(api.url)
        self._count = 0
        if applied:
            self.run(
                "insert into processed_events (aggregate_id, event_type, event_id, topic,"
                " kafka_partition, kafka_offset, consumer) select aggregate_id, event_type, id,"
                " 't', 0, 1, 'c' from events where id = %s",
                self.event_id,
            )
        self.run("update events set status = %s where id = %s", status, self.event_id)

    def run(self, statement: str, *parameters: Any) -> None:
        with self.api.database.connect() as conn:
            conn.execute(statement.encode(), parameters)

    def add(self, state: str, *, request: str | None = REQUEST, **changes: Any) -> str:
        self._count += 1
        changes = {"action_key": f"a{self._count}", "attempt_no": 2, **changes}
        target_id = changes.pop("target_id", None)
        delivery_id = deliveries.insert(
            self.api.database, self.event_id, self.rule_id, self.version_id, state=state, **changes
        )
        if target_id is not None:
            self.run(
                "update deliveries set target_id = %s, destination = 'target/' || %s where id = %s",
                target_id, target_id, delivery_id,
            )  # fmt: skip
        self.run("delete from delivery_requests where delivery_id = %s", delivery_id)
        if request is not None:
            self.run("insert into delivery_requests values (%s, %s)", delivery_id, request)
        return delivery_id

    def target(self) -> str:
        target_id = str(uuid_utils.compat.uuid7())
        self.run(
            "insert into targets (id, name, url, header_names)"
            " values (%s, %s, 'https://example.com/in', '{X-Key}')",
            target_id, f"target {target_id}",
        )  # fmt: skip
        return target_id

    def act(self, delivery_id: str, what: str, body: object = None) -> client.Answer:
        return client.call(self.api.url, "POST", f"/deliveries/{delivery_id}/{what}", body)

    def status(self) -> str:
        return self.api.database.value("select status from events where id = %s", self.event_id)

    def row(self, delivery_id: str) -> tuple[Any, ...]:
        return self.api.database.rows(
            "select state, schedule_from, next_attempt_at <= now(), finished_at is null, reason"
            " from deliveries where id = %s",
            delivery_id,
        )[0]

    def audit(self, delivery_id: str) -> list[tuple[Any, ...]]:
        return self.api.database.rows(
            "select action, detail from audit_log where target = %s", f"deliveries/{delivery_id}"
        )


@contextlib.contextmanager
def heard(api: Api) -> Generator[psycopg.Connection[Any]]:
    """A dispatcher's ear."""
    with api.database.connect() as conn:
        conn.execute(f"listen {shared_database.DELIVERIES_CHANNEL}".encode())
        yield conn


@pytest.mark.parametrize("state", ["failed", "unknown", "skipped"])
def test_a_retry_begins_a_schedule_and_takes_its_event_and_dead_letter_back(
    api: Api, state: str
) -> None:
    ledger = Ledger(api)
    delivery_id = ledger.add(state, reason="was so", target_id=ledger.target())
    letter_id = deliveries.give_up(api.database, ledger.event_id, delivery_id)

    with heard(api) as conn, Watcher(api.url) as watcher:
        watcher.subscribe({})
        answer = ledger.act(delivery_id, "retry", {"reason": "mended"})
        assert len(list(conn.notifies(timeout=5, stop_after=1))) == 1
        told = {
            ("delivery", delivery_id, "pending"),
            ("dead_letter", letter_id, "redriven"),
            ("event", ledger.event_id, "processing"),
        }
        watcher.wait(
            lambda: told <= {update[:3] for update in watcher.updates()}, "what it changes"
        )

    assert answer.status == 202, answer
    assert (answer.body["state"], answer.body["dead_letter_id"]) == ("pending", letter_id)
    assert ledger.row(delivery_id) == ("pending", 2, True, True, None)
    assert ledger.status() == "processing"
    assert api.database.rows(
        "select state, resolution_reason, resolved_at is not null from dead_letters where id = %s",
        letter_id,
    ) == [("redriven", "mended", True)]
    detail = {"from": state, "attempts": 2, "reason": "mended"}
    assert ledger.audit(delivery_id) == [("delivery.retry", detail)]


def test_a_pending_delivery_is_only_hurried(api: Api) -> None:
    ledger = Ledger(api, status="processing")
    delivery_id = ledger.add("pending", target_id=ledger.target())

    assert ledger.act(delivery_id, "retry").status == 202
    assert ledger.row(delivery_id) == ("pending", 0, True, True, None)


def test_what_is_confirmed_or_under_way_is_not_sent_again(api: Api) -> None:
    ledger = Ledger(api)
    target_id = ledger.target()
    confirmed, sending = (
        ledger.add(state, target_id=target_id) for state in ("confirmed", "failed")
    )
    for edge in ("pending", "sending"):
        leased = edge == "sending"
        ledger.run(
            "update deliveries set state = %s, finished_at = null,"
            " next_attempt_at = case when not %s then now() end,"
            " leased_by = case when %s then 'd' end, sending_since = case when %s then now() end,"
            " lease_expires_at = case when %s then now() + interval '1 hour' end where id = %s",
            edge, leased, leased, leased, leased, sending,
        )  # fmt: skip

    for delivery_id, state in ((confirmed, "confirmed"), (sending, "sending")):
        answer = ledger.act(delivery_id, "retry")
        assert (answer.status, answer.body["type"]) == (409, "/problems/delivery-state")
        assert answer.body["state"] == state
    assert ledger.audit(confirmed) == ledger.audit(sending) == []


def test_a_retry_says_what_stands_in_its_way(api: Api) -> None:
    ledger = Ledger(api)
    target_id = ledger.target()
    of_target = ledger.add("failed", target_id=target_id)
    emptied = ledger.add("failed", request=None)
    ledger.run("update targets set disabled_at=now(), disabled_reason='x' where id=%s", target_id)

    disabled = ledger.act(of_target, "retry")
    assert (disabled.status, disabled.body["type"]) == (409, "/problems/target-disabled")
    assert f"/targets/{target_id}/enable" in disabled.body["detail"]
    ledger.run("update targets set archived_at = now() where id = %s", target_id)
    archived = ledger.act(of_target, "retry").body["detail"]
    assert "archived" in archived
    assert f'/events/{ledger.event_id}/replay {{"effects": "force"' in archived
    nothing = ledger.act(emptied, "retry")
    assert (nothing.status, nothing.body["type"]) == (409, "/problems/delivery-state")
    ledger.run("update events set payload_expired_at = now() where id = %s", ledger.event_id)
    expired = ledger.act(emptied, "retry")
    assert (expired.status, expired.body["type"]) == (409, "/problems/payload-expired")
    aimless = ledger.act(ledger.add("skipped", reason="no target"), "retry")
    assert (aimless.status, aimless.body["type"]) == (409, "/problems/delivery-state")
    assert '"effects": "force"' in aimless.body["detail"]
    assert '"effects": "force"' in nothing.body["detail"]
    assert ledger.act(str(uuid_utils.compat.uuid7()), "retry").status == 404
    assert ledger.status() == "failed"


def test_an_event_whose_run_was_never_applied_keeps_its_status(api: Api) -> None:
    ledger = Ledger(api, applied=False)
    delivery_id = ledger.add("failed", target_id=ledger.target())

    assert ledger.act(delivery_id, "retry").status == 202
    assert ledger.status() == "failed"


def test_an_unknown_delivery_is_resolved_and_its_event_follows(api: Api) -> None:
    ledger = Ledger(api)
    first, second = ledger.add("unknown"), ledger.add("unknown")
    letter_id = deliveries.give_up(api.database, ledger.event_id, first)
    body = {"outcome": "confirmed", "reason": "they have it"}

    with Watcher(api.url) as watcher:
        watcher.subscribe({})
        answer = ledger.act(first, "resolve", body)
        told = {
            ("delivery", first, "confirmed"),
            ("dead_letter", letter_id, "discarded"),
            ("event", ledger.event_id, "failed"),
        }
        watcher.wait(
            lambda: told <= {update[:3] for update in watcher.updates()}, "what it changes"
        )

    assert (answer.status, answer.body["state"]) == (200, "confirmed"), answer
    assert answer.body["dead_letter_id"] == letter_id
    assert ledger.row(first)[::4] == ("confirmed", "they have it")
    assert ledger.status() == "failed"  # the other one is unknown still
    assert ledger.act(second, "resolve", body | {"outcome": "failed"}).status == 200
    assert ledger.status() == "failed"
    again = ledger.act(first, "resolve", body)
    assert (again.status, again.body["type"]) == (409, "/problems/delivery-state")
    detail = {"outcome": "confirmed", "reason": "they have it"}
    assert ledger.audit(first) == [("delivery.resolve", detail)]
    letter = "select state, resolution_reason from dead_letters where id = %s"
    assert api.database.rows(letter, letter_id) == [
        ("discarded", "resolved as confirmed: they have it")
    ]


@pytest.mark.parametrize(("others", "status"), [([], "processed"), (["pending"], "processing")])
def test_the_last_unknown_one_that_is_confirmed_finishes_its_event(
    api: Api, others: list[str], status: str
) -> None:
    ledger = Ledger(api, status="processing" if others else "failed")
    delivery_id = ledger.add("unknown")
    for state in others:
        ledger.add(state)

    assert ledger.act(delivery_id, "resolve", {"outcome": "confirmed", "reason": "x"}).status == 200
    assert ledger.status() == status


def test_two_retries_at_once_are_one(api: Api) -> None:
    ledger = Ledger(api)
    delivery_id = ledger.add("failed", target_id=ledger.target())

    answers = client.at_once(8, lambda _: ledger.act(delivery_id, "retry"))

    assert {answer.status for answer in answers} == {202}
    assert ledger.row(delivery_id)[:2] == ("pending", 2)
    assert [detail["from"] for _, detail in ledger.audit(delivery_id)].count("failed") == 1


@pytest.mark.parametrize(
    ("what", "body", "places"),
    [
        ("retry", {"reason": ""}, {"/reason"}),
        ("retry", {"reason": "a\nb", "x": 1}, {"/reason", "/x"}),
        ("retry", [], {""}),
        ("resolve", {}, {"/outcome", "/reason"}),
        (
            "resolve",
            {"outcome": "unknown", "reason": 1, "a/b": 1},
            {"/outcome", "/reason", "/a~1b"},
        ),
        ("resolve", {"outcome": ["failed"], "reason": "x" * 1001}, {"/outcome", "/reason"}),
    ],
)
def test_flaws_of_an_act_are_told_at_once(
    api: Api, what: str, body: object, places: set[str]
) -> None:
    answer = client.call(api.url, "POST", f"/deliveries/{uuid_utils.compat.uuid7()}/{what}", body)
    assert (answer.status, answer.body["type"]) == (422, "/problems/invalid-request")
    assert {error["pointer"] for error in answer.body["errors"]} == places


def test_one_delivery_shows_its_request_its_attempts_and_where_to_look(api: Api) -> None:
    ledger = Ledger(api)
    target_id = ledger.target()
    first = ledger.add("failed", target_id=target_id)
    delivery_id = ledger.add("failed", target_id=target_id, repeats_id=first, replay_scope=1)
    deliveries.send(
        api.database, delivery_id, 1, "unknown", error_class="Timeout", late_answer="200"
    )
    deliveries.send(api.database, delivery_id, 2, "failed", status_code=503, error_class="Status")
    letter_id = deliveries.give_up(api.database, ledger.event_id, delivery_id)

    shown = client.call(api.url, "GET", f"/deliveries/{delivery_id}").body

    assert list(shown["request"]["body"]) == ["z", "a"]
    assert shown["request"] == {
        "method": "POST", "url": "https://example.com/in", "headers": {"X-A": "1"},
        "target_header_names": ["X-Key"], "body": {"z": 1, "a": 2},
    }  # fmt: skip
    assert [(a["attempt_no"], a["outcome"], a["late_answer"]) for a in shown["attempts"]] == [
        (1, "unknown", "200"),
        (2, "failed", None),
    ]
    assert shown["attempts"][1]["phases"]["total_ms"] == 12.5
    assert shown["links"] == {
        "event": f"/events/{ledger.event_id}",
        "rule": f"/rules/{ledger.rule_id}",
        "version": f"/rules/{ledger.rule_id}/versions/1",
        "target": f"/targets/{target_id}",
        "repeats": f"/deliveries/{first}",
        "dead_letter": f"/dead-letters/{letter_id}",
    }
    for link in ("event", "rule", "version", "target", "repeats", "dead_letter"):
        assert client.call(api.url, "GET", shown["links"][link]).status == 200, link


def test_every_filter_finds_its_own_newest_first_and_page_by_page(api: Api) -> None:
    ledger = Ledger(api)
    target_id = ledger.target()
    failed = [ledger.add("failed", target_id=target_id) for _ in range(3)]
    confirmed = ledger.add("confirmed")

    def listed(query: str) -> list[str]:
        answer = client.call(api.url, "GET", f"/deliveries?{query}")
        assert answer.status == 200, answer
        return [row["id"] for row in answer.body["deliveries"]]

    newest = failed[::-1]
    mine = f"rule_id={ledger.rule_id}"
    assert listed(mine) == [confirmed, *newest]
    assert listed(f"{mine}&state=failed") == newest
    assert listed(f"event_id={ledger.event_id}&state=confirmed") == [confirmed]
    assert listed(f"target_id={target_id}") == newest
    assert listed(f"destination=target/{target_id}&kind=webhook") == newest
    assert listed(f"{mine}&kind=email") == []
    assert listed(f"{mine}&created_before=2026-01-01T00:00:00Z") == []
    assert len(listed(f"{mine}&created_after=2026-01-01T00:00:00Z")) == 4
    page = client.call(api.url, "GET", f"/deliveries?{mine}&limit=3").body
    rest = client.call(api.url, "GET", f"/deliveries?limit=3&cursor={page['next_cursor']}").body
    assert [row["id"] for row in rest["deliveries"]] == [failed[0]]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("state=deduped", "state"),
        ("kind=sms", "kind"),
        ("target_id=x", "target_id"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("limit=0", "limit"),
        ("limit=1000000000", "limit"),
        ("cursor=AAAA", "cursor"),
        ("status=failed", "status"),
    ],
)
def test_a_bad_filter_is_named(api: Api, query: str, name: str) -> None:
    answer = client.call(api.url, "GET", f"/deliveries?{query}")
    assert answer.status == 422, answer
    assert answer.body["errors"][0]["parameter"] == name


def test_the_numbers_tell_what_waits_and_where(api: Api) -> None:
    ledger = Ledger(api)
    target_id = ledger.target()
    delivery_id = ledger.add("pending", target_id=target_id)
    ledger.run(
        "update deliveries set next_attempt_at = now() - interval '90 seconds' where id = %s",
        delivery_id,
    )

    stats = client.call(api.url, "GET", "/deliveries/stats").body

    counts = {each["state"]: each["count"] for each in stats["states"]}
    stored = dict(api.database.rows("select state, count(*) from deliveries group by state"))
    assert counts == {
        state: stored.get(state, 0)
        for state in ("pending", "sending", "failed", "unknown", "skipped")
    }
    assert stats["oldest_due_age_seconds"] >= 90
    own = next(d for d in stats["destinations"] if d["destination"] == f"target/{target_id}")
    assert (own["pending"], own["pending_capped"], own["sending"]) == (1, False, 0)
    assert own["oldest_due_age_seconds"] >= 90

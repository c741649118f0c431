"""Rules over real HTTP: create, change, archive, versions and their states."""

import itertools
import uuid
from typing import Any

import psycopg
import pytest

from services.api.rules import diff as rule_diff
from tests.api import rules
from tests.api.conftest import Api
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

STATES = ("draft", "shadow", "published", "retired")
# Changes that wait for the rulebook's row.
WAITING = (
    "select pid from pg_stat_activity where wait_event_type = 'Lock'"
    " and query like '%rulebook_state%' and datname = current_database()"
)


def states(api: Api, rule_id: str) -> list[str]:
    """The states of a rule's versions, oldest first."""
    return [
        row[0]
        for row in api.database.rows(
            "select state from rule_versions where rule_id = %s order by version", rule_id
        )
    ]


def rulebook(api: Api) -> int:
    return int(client.call(api.url, "GET", "/rules/live").body["version"])


def test_the_rule_of_the_product_document_is_taken_as_it_stands(api: Api) -> None:
    answer = client.call(
        api.url,
        "POST",
        "/rules",
        {
            "name": "Webhook on fraud suspicion",
            "event_type": "payment.completed",
            "condition": {
                "and": [{">": [{"var": "amount"}, 10000]}, {"==": [{"var": "country"}, "BR"]}]
            },
            "action": {
                "type": "call_webhook",
                "params": {
                    "url": "https://example.com/hook",
                    "method": "POST",
                    "body": {"event_id": "{{ external_id }}"},
                },
            },
            "active": True,
        },
    )
    assert answer.status == 201, answer
    assert answer.headers["etag"] == '"1"'
    read = client.call(api.url, "GET", answer.headers["location"])
    assert read.body == answer.body
    assert read.headers["etag"] == '"1"'
    published = read.body["published"]
    assert (published["version"], published["state"]) == (1, "published")
    assert (published["engine"], bool(published["engine_version"])) == ("datalogic", True)
    assert published["actions"][0]["key"] == "call_webhook"


def test_every_change_makes_a_version_and_keeps_the_old_ones(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}"
    replaced = rules.send(api.url, "PUT", path, rules.rule(condition=True, note="all of them"))
    patched = rules.send(api.url, "PATCH", path, {"event_type": "payment.*"})
    named = rules.send(api.url, "PATCH", path, {"name": "Other", "active": False})
    assert [a.status for a in (replaced, patched, named)] == [200, 200, 200]
    assert (named.body["name"], named.body["active"], named.body["revision"]) == ("Other", False, 4)
    published = named.body["published"]
    assert (published["version"], published["event_type"]) == (3, "payment.*")
    assert (published["condition"], published["note"]) == (True, None)
    assert states(api, rule["id"]) == ["retired", "retired", "published"]
    listed = client.call(api.url, "GET", f"{path}/versions?limit=2").body
    rest = client.call(api.url, "GET", f"{path}/versions?limit=2&cursor={listed['next_cursor']}")
    assert [v["version"] for v in listed["versions"] + rest.body["versions"]] == [3, 2, 1]
    assert rest.body["next_cursor"] is None
    first = client.call(api.url, "GET", f"{path}/versions/1").body
    assert first["condition"] == rules.CONDITION
    assert first["published_at"] < first["retired_at"]


def test_the_same_put_or_patch_again_changes_nothing(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}"
    for method, body in (
        ("PUT", rules.rule(condition={"==": [1, 1]})),
        ("PATCH", {"condition": {"==": [1, 2]}, "active": False}),
        ("PATCH", {}),
    ):
        first = rules.send(api.url, method, path, body)
        before = rules.counts(api.database)
        again = rules.send(api.url, method, path, body)
        assert (again.status, again.body) == (200, first.body)
        assert rules.counts(api.database) == before
    # 1 and true are two values.
    other = rules.send(api.url, "PATCH", path, {"condition": {"==": [1, True]}})
    assert other.body["revision"] == first.body["revision"] + 1


def test_creation_under_an_id_of_the_clients_own_is_done_once(api: Api) -> None:
    rule_id = str(uuid.uuid4())
    body = rules.rule(id=rule_id)
    answers = client.at_once(8, lambda _: client.call(api.url, "POST", "/rules", body))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert all(answer.body == answers[0].body for answer in answers)
    assert {a.headers.get("idempotent-replayed") for a in answers if a.status == 200} == {"true"}
    other = client.call(api.url, "POST", "/rules", {**body, "condition": False})
    assert (other.status, other.body["type"]) == (409, "/problems/rule-exists")
    assert client.call(api.url, "POST", "/rules", {**body, "name": "Other"}).status == 409
    rules.send(api.url, "PUT", f"/rules/{rule_id}", rules.rule(condition=False))
    later = client.call(api.url, "POST", "/rules", body)
    assert (later.status, later.body["published"]["version"]) == (200, 2)
    assert states(api, rule_id) == ["retired", "published"]


def test_of_two_changes_with_one_etag_one_is_refused(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}"

    def change(number: int) -> client.Answer:
        body = rules.rule(condition={"==": [{"var": "n"}, number]})
        return rules.send(api.url, "PUT", path, body, if_match='"1"')

    answers = client.at_once(6, change)
    assert sorted(answer.status for answer in answers) == [200] + [412] * 5
    stale = next(answer for answer in answers if answer.status == 412)
    assert stale.body["type"] == "/problems/stale-version"
    assert stale.body["revision"] == 2
    assert states(api, rule["id"]) == ["retired", "published"]


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"1"', 200),
        ('W/"1"', 200),
        ('"7", "1"', 200),
        ("*", 200),
        ('"2"', 412),
        ('W/"0"', 412),
        ("1", 422),
        ('"a"', 422),
        ('"1" "1"', 422),
        ("", 422),
        ('"' + "1" * 5000 + '"', 422),
    ],
)
def test_if_match_means_what_http_says(api: Api, tag: str, status: int) -> None:
    rule = rules.create(api.url)
    before = rules.counts(api.database)
    answer = rules.send(api.url, "DELETE", f"/rules/{rule['id']}", if_match=tag)
    assert answer.status == status, answer
    if status == 422:
        assert answer.body["errors"][0]["header"] == "If-Match"
    if status != 200:
        assert rules.counts(api.database) == before


def test_an_archived_rule_is_kept_and_only_restoring_changes_it(api: Api) -> None:
    rule = rules.create(api.url, name="To be archived")
    path = f"/rules/{rule['id']}"
    archived = rules.send(api.url, "DELETE", path)
    again = rules.send(api.url, "DELETE", path)
    assert archived.body["archived_at"] is not None
    assert (again.status, again.body) == (200, archived.body)
    for method, below, body in (
        ("PUT", "", rules.rule()),
        ("PATCH", "", {"active": True}),
        ("POST", "/versions", rules.version()),
        ("POST", "/versions/1/retire", None),
        ("POST", "/versions/1/resume", None),
    ):
        refused = rules.send(api.url, method, path + below, body)
        assert (refused.status, refused.body["type"]) == (409, "/problems/rule-archived")
    for archived_too, found in (("false", 0), ("true", 1)):
        listed = client.call(api.url, "GET", f"/rules?q=To%20be%20arch&archived={archived_too}")
        assert len(listed.body["rules"]) == found
    assert client.call(api.url, "GET", path).status == 200
    restored = rules.send(api.url, "POST", f"{path}/restore")
    assert restored.body["archived_at"] is None
    assert restored.body["published"]["version"] == 1


@pytest.mark.parametrize(("start", "end"), list(itertools.product(STATES, STATES[1:])))
def test_a_version_takes_legal_edges_only(api: Api, start: str, end: str) -> None:
    rule = rules.create(api.url, state="draft" if start == "retired" else start)
    path = f"/rules/{rule['id']}/versions/1"
    if start == "retired":
        rules.send(api.url, "POST", f"{path}/retire")
    command = {"published": "publish", "shadow": "shadow", "retired": "retire"}[end]
    legal = start == end or api.database.value(
        "select count(*) from rule_version_edges where from_state = %s and to_state = %s",
        start,
        end,
    )

    answer = rules.send(api.url, "POST", f"{path}/{command}")

    if legal:
        assert (answer.status, answer.body["version"]["state"]) == (200, end)
    else:
        assert (answer.status, answer.body["state"]) == (409, start)
        assert answer.body["type"] == "/problems/rule-version-state"


def test_publishing_retires_the_published_one_and_an_old_one_is_a_rollback(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}/versions"
    draft = rules.send(api.url, "POST", path, rules.version(condition=True))
    assert draft.headers["location"] == f"{path}/2"
    assert states(api, rule["id"]) == ["published", "draft"]
    for number, expected in (
        (2, ["retired", "published"]),
        (1, ["published", "retired"]),
        (1, ["published", "retired"]),
    ):
        assert rules.send(api.url, "POST", f"{path}/{number}/publish").status == 200
        assert states(api, rule["id"]) == expected
    for _ in range(2):
        rules.send(api.url, "POST", path, rules.version(state="shadow", note="another"))
    assert states(api, rule["id"]) == ["published", "retired", "draft", "shadow"]


def test_a_patch_changes_the_version_that_counts_and_keeps_its_state(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}"
    rules.send(api.url, "POST", f"{path}/versions", rules.version(event_type="other"))
    patched = rules.send(api.url, "PATCH", path, {"condition": False}).body
    assert (patched["published"]["version"], patched["draft"]["version"]) == (3, 2)
    for member in ("event_type", "actions", "engine"):
        assert patched["published"][member] == rule["published"][member]
    draft = rules.create(api.url, state="draft")
    again = rules.send(api.url, "PATCH", f"/rules/{draft['id']}", {"condition": False}).body
    assert (again["published"], again["draft"]["version"]) == (None, 2)


def test_simultaneous_publishes_leave_one_published(api: Api) -> None:
    rule = rules.create(api.url, state="draft")
    path = f"/rules/{rule['id']}/versions"
    for number in range(5):
        rules.send(api.url, "POST", path, rules.version(note=str(number)))
    answers = client.at_once(6, lambda n: rules.send(api.url, "POST", f"{path}/{n + 1}/publish"))
    assert {answer.status for answer in answers} == {200}
    assert sorted(states(api, rule["id"])) == ["published"] + ["retired"] * 5


def test_what_evaluation_sees_raises_the_rulebook_and_drafts_do_not(api: Api) -> None:
    before = rulebook(api)
    rule = rules.create(api.url, state="draft")
    path = f"/rules/{rule['id']}"
    rules.send(api.url, "POST", f"{path}/versions", rules.version(condition=True))
    rules.send(api.url, "POST", f"{path}/versions/2/retire")
    assert rulebook(api) == before == rule["rulebook_version"]
    for method, below, body in (
        ("POST", "/versions/1/shadow", None),
        ("POST", "/versions/1/publish", None),
        ("PATCH", "", {"active": False}),
        ("PATCH", "", {"name": "Other"}),
        ("PUT", "", rules.rule(condition=False)),
        ("DELETE", "", None),
        ("POST", "/restore", None),
        ("POST", "/versions", rules.version(state="shadow")),
        ("POST", "/versions/4/retire", None),
        ("POST", "/versions/3/retire", None),
    ):
        before += 1
        answer = rules.send(api.url, method, path + below, body)
        assert answer.body["rulebook_version"] == before == rulebook(api), (method, below)


def test_a_suspension_is_shown_and_ends_by_resume_or_publish(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}"
    for commands in (["resume"], ["publish"], ["retire", "publish"]):
        with api.database.connect("oncely_consumer") as conn:
            conn.execute(
                "insert into rule_suspensions (version_id, reason, consumer)"
                " select id, 'over its budget', 'c-1' from rule_versions where rule_id = %s",
                [rule["id"]],
            )
        shown = client.call(api.url, "GET", path).body
        assert shown["published"]["suspension"]["reason"] == "over its budget"
        listed = client.call(api.url, "GET", "/rules?limit=200").body["rules"]
        assert [r["suspended"] for r in listed if r["id"] == rule["id"]] == [True]
        before = rulebook(api)
        answers = [rules.send(api.url, "POST", f"{path}/versions/1/{c}") for c in commands]
        assert {answer.status for answer in answers} == {200}
        assert answers[-1].body["version"]["suspension"] is None
        assert rulebook(api) == before + len(commands)
    refused = rules.send(api.url, "POST", f"{path}/versions/1/resume")
    assert (refused.status, refused.body["state"]) == (409, "published")


def test_lists_find_rules_by_type_pattern_state_and_name(api: Api) -> None:
    mark = uuid.uuid4().hex[:8]
    made = {
        name: rules.create(api.url, name=f"{mark} {name}", **changes)["id"]
        for name, changes in {
            "exact": {"event_type": f"{mark}.card.failed"},
            "wide": {"event_type": f"{mark}.*"},
            "draft": {"event_type": f"{mark}.card.*", "state": "draft"},
            "off": {"event_type": f"{mark}.other", "active": False},
        }.items()
    }

    def found(query: str) -> list[str]:
        answer = client.call(api.url, "GET", f"/rules?q={mark}&{query}")
        assert answer.status == 200, answer
        ids = [rule["id"] for rule in answer.body["rules"]]
        return [name for name, rule_id in made.items() if rule_id in ids]

    assert found("archived=false") == list(made)
    assert found(f"matching={mark}.card.failed") == ["exact", "wide", "draft"]
    assert found(f"event_type={mark}.*") == ["wide"]
    assert found("active=false") == ["off"]
    assert found("state=draft") == ["draft"]
    assert found("state=retired") == []
    pages: list[str] = []
    cursor = ""
    while True:
        page = client.call(api.url, "GET", f"/rules?q={mark}&limit=3{cursor}").body
        pages += [rule["id"] for rule in page["rules"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert pages == list(reversed(made.values()))


def test_live_tells_who_has_the_present_rules(api: Api) -> None:
    rules.create(api.url)
    with api.database.connect("oncely_consumer") as conn:
        conn.execute(
            "insert into rulebook_readers (reader, service, seen_version, rules, seen_at)"
            " select r, 'consumer', s.version - behind, 1, now() - make_interval(secs => age)"
            " from rulebook_state s, (values ('a', 0, 0), ('b', 1, 60), ('c', 0, 6000))"
            " as t (r, behind, age)"
        )
    live = client.call(api.url, "GET", "/rules/live").body
    readers = [r for r in live["readers"] if r["service"] == "consumer"]
    assert [(r["reader"], r["alive"], r["up_to_date"]) for r in readers] == [
        ("a", True, True),
        ("b", False, False),
    ]


def test_every_change_is_audited_and_told_to_the_consumers(api: Api) -> None:
    with api.database.connect("oncely_consumer") as listener:
        listener.execute("listen oncely_rules")
        rule = rules.create(api.url)
        rules.send(api.url, "DELETE", f"/rules/{rule['id']}")
        heard = [note.channel for note in listener.notifies(timeout=10, stop_after=2)]
    assert heard == ["oncely_rules", "oncely_rules"]
    audited = api.database.rows(
        "select action, actor, detail ->> 'revision' from audit_log where target = %s order by id",
        f"rules/{rule['id']}",
    )
    assert audited == [
        ("rule.create", "anonymous@127.0.0.1", "1"),
        ("rule.archive", "anonymous@127.0.0.1", "2"),
    ]


def _make_at_once(
    system: stack.System, api: str, count: int, **changes: Any
) -> list[client.Answer]:
    """Rules that are made when all of them wait for the rulebook."""
    with system.database.connect(autocommit=False) as held:
        held.execute("select version from rulebook_state for update")

        def make(number: int) -> client.Answer:
            if number < count:
                return client.call(api, "POST", "/rules", rules.rule(**changes))
            eventually(lambda: len(system.database.rows(WAITING)) == count, what="all to wait")
            held.rollback()
            return client.call(api, "GET", "/rules/live")

        return client.at_once(count + 1, make)[:count]


def test_limits_are_exact_and_say_how_to_mend_it(system: stack.System) -> None:
    api = system.start("api", RULES_MAX="4", RULES_PER_TYPE_MAX="2", RULE_VERSIONS_MAX="3").url
    answers = client.at_once(
        6, lambda n: client.call(api, "POST", "/rules", rules.rule(name=f"rule {n}"))
    )
    assert sorted(answer.status for answer in answers) == [201, 201] + [409] * 4
    refused = next(answer.body for answer in answers if answer.status == 409)
    assert (refused["type"], refused["limit"]) == ("/problems/too-many-rules", 2)
    assert "RULES_PER_TYPE_MAX" in refused["detail"]
    drafts = _make_at_once(system, api, 3, state="draft")
    made = [answer.body["id"] for answer in drafts if answer.status == 201]
    assert sorted(answer.status for answer in drafts) == [201, 201, 409]
    path = f"/rules/{made[0]}"
    assert rules.send(api, "POST", f"{path}/versions/1/publish").status == 409
    for status in (201, 201, 409):
        assert rules.send(api, "POST", f"{path}/versions", rules.version()).status == status
    assert rules.send(api, "DELETE", path).status == 200
    assert client.call(api, "POST", "/rules", rules.rule(state="draft")).status == 201
    assert rules.send(api, "POST", f"{path}/restore").status == 409
    assert rules.counts(system.database)[:3:2] == (5, 7)


def test_a_connection_lost_in_a_change_is_outcome_unknown(system: stack.System) -> None:
    """The change waits for the rulebook's row; its backend is ended there, as by a failover."""
    api = system.start("api").url
    rule = rules.create(api)

    def change(number: int) -> client.Answer:
        if number:
            return rules.send(api, "PATCH", f"/rules/{rule['id']}", {"active": False})
        found = eventually(lambda: system.database.rows(WAITING), what="the change to wait")
        system.database.rows("select pg_terminate_backend(%s)", found[0][0])
        return client.call(api, "GET", f"/rules/{rule['id']}")

    with system.database.connect(autocommit=False) as conn:
        conn.execute("select version from rulebook_state for update")
        read, changed = client.at_once(2, change)
        conn.rollback()
    assert (changed.status, changed.body["type"]) == (503, "/problems/outcome-unknown")
    assert changed.headers["retry-after"]
    assert read.body["active"] is True


def test_a_change_stands_when_nobody_can_be_told_of_it(system: stack.System) -> None:
    api = system.start("api").url
    rule = rules.create(api)
    own = system.database
    with psycopg.connect(own.server.admin_url(own.name), autocommit=True) as superuser:
        superuser.execute("revoke execute on function pg_notify(text, text) from public")
    path = f"/rules/{rule['id']}"
    assert rules.send(api, "PATCH", path, {"active": False}).status == 200
    assert client.call(api, "GET", path).body["active"] is False


def test_a_diff_names_what_changed_by_pointers(api: Api) -> None:
    rule = rules.create(api.url)
    path = f"/rules/{rule['id']}/versions"
    rules.send(
        api.url,
        "POST",
        path,
        rules.version(
            event_type="payment.*",
            condition={"and": [{">=": [{"var": "amount"}, 9_000]}]},
            action=None,
            actions=[{"type": "log"}, {"type": "noop"}],
        ),
    )
    answer = client.call(api.url, "GET", f"{path}/1/diff?to=2").body
    kinds = {change["pointer"]: change["kind"] for change in answer["changes"]}
    assert kinds == {
        "/event_type": "changed",
        "/condition/and/0/>=/1": "changed",
        "/condition/and/1": "removed",
        "/actions/1": "added",
    }
    amount = next(c for c in answer["changes"] if c["pointer"] == "/condition/and/0/>=/1")
    assert (amount["before"], amount["after"]) == (10_000, 9_000)
    assert client.call(api.url, "GET", f"{path}/1/diff?to=3").status == 404
    assert client.call(api.url, "GET", f"{path}/1/diff").status == 422


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, []),
        (1, True, [("", "changed")]),
        ({"a/b": None}, {}, [("/a~1b", "removed")]),
        ([1, [2]], [1, [3, 4]], [("/1/0", "changed"), ("/1/1", "added")]),
        ({"a": []}, {"a": {}}, [("/a", "changed")]),
    ],
)
def test_differences_are_of_values_and_not_of_texts(
    before: Any, after: Any, expected: list[tuple[str, str]]
) -> None:
    found, cut_off = rule_diff.compare(before, after)
    assert [(change.pointer, change.kind) for change in found] == expected
    assert not cut_off


def test_a_diff_is_bounded() -> None:
    found, cut_off = rule_diff.compare(list(range(5000)), list(range(1, 5001)))
    assert (len(found), cut_off) == (rule_diff.DIFFERENCES_MAX, True)

"""`oncely rules`, `event-types` and `events attempts` against a real stack."""

import os
import pty
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli import main, output
from cli.stack import services
from tests.api import history
from tests.fixtures import client, deadlines, stack

TICKS = 30_000
SEEN = {"type": "log", "message": "seen"}
# What a terminal would obey: the start of an ANSI sequence, CR, CSI in one character, DEL.
CONTROLS = "\x1b\r\x9b\x7f"

type Oncely = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def system(
    servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stack.System]:
    with stack.fresh_database(servers.postgres) as database:
        made = stack.System(
            database=database,
            topics=stack.fresh_topics(servers),
            log_dir=tmp_path_factory.mktemp("rules"),
        )
        yield made
        made.stop()


@pytest.fixture(scope="module")
def url(system: stack.System) -> str:
    # Small pages, so that a backtest is seen while it runs.
    return system.start_all(BACKTEST_PAGE_ROWS="50", BACKTEST_POLL_SECONDS="0.1").url


@pytest.fixture
def oncely(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Oncely:
    """Run a command line in this process: its exit code, and all that it printed."""
    monkeypatch.setenv("ONCELY_URL", url)

    def run(*arguments: object) -> tuple[int, str]:
        code = main.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def process(url: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", *map(str, arguments)],
        cwd=services.PROJECT,
        env=os.environ | {"ONCELY_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def rule(**changes: Any) -> dict[str, Any]:
    """A rule of its own name and type."""
    name = f"rule-{uuid.uuid4()}"
    return {
        "name": name,
        "event_type": f"{name}.done",
        "condition": {">=": [{"var": "amount"}, 10]},
        "action": SEEN,
        **changes,
    }


def write(path: Path, value: object) -> Path:
    path.write_bytes(msgspec.json.encode(value))
    return path


def push(oncely: Oncely, path: Path) -> list[dict[str, Any]]:
    code, printed = oncely("rules", "push", path, "--yes", "--json")
    assert code == output.Exit.OK, printed
    return msgspec.json.decode(printed)["rules"]


def versions(url: str, rule_id: str) -> int:
    return int(client.call(url, "GET", f"/rules/{rule_id}").body["newest_version"])


def test_push_tells_the_plan_stores_it_once_and_then_finds_nothing_to_do(
    oncely: Oncely, url: str, tmp_path: Path
) -> None:
    first, second = rule(), rule(state="draft", note="two\nlines")
    path = write(tmp_path / "rules.json", [first, second])

    code, printed = oncely("rules", "push", path, "--dry-run")
    assert code == output.Exit.OK
    assert "plan: 2 create" in printed
    assert client.call(url, "GET", f"/rules?q={first['name']}").body["rules"] == []

    done = push(oncely, path)
    assert [(each["verdict"], each["version"]) for each in done] == [("create", 1)] * 2
    assert {each["verdict"] for each in push(oncely, path)} == {"unchanged"}

    first["condition"][">="][1] = 20
    first["actions"] = [first.pop("action"), {"type": "log", "level": "warning"}]
    write(path, [first, {**second, "active": False}])
    code, printed = oncely("rules", "push", path, "--yes")
    assert code == output.Exit.OK
    assert "~ /condition/>=/1  10 → 20" in printed
    assert '+ /actions/1  {"key":"log-2","type":"log","params":{"level":"warning"}}' in printed
    assert "~ /active  true → false" in printed
    assert "plan: 1 new version, 1 settings" in printed
    assert [versions(url, each["id"]) for each in done] == [2, 1]
    assert {each["verdict"] for each in push(oncely, path)} == {"unchanged"}


def test_pulled_rules_are_pushed_unchanged(oncely: Oncely, url: str, tmp_path: Path) -> None:
    hook = {"url": "https://example.com/x", "body": {"id": "{{ external_id }}"}, "headers": None}
    twin = "../Twin [bold]"
    sent = [
        rule(name=twin, condition={"in": [{"var": "a/b"}, ["é", 1.5, True, None]]}, note="why"),
        rule(name=twin, action={"type": "call_webhook", "key": "hook", "params": hook}),
        rule(active=False, engine="datalogic", event_type="*"),
    ]
    ids = [client.call(url, "POST", "/rules", each).body["id"] for each in sent]

    code, printed = oncely("rules", "pull", "--dir", tmp_path / "pulled")
    assert code == output.Exit.OK, printed
    files = list((tmp_path / "pulled").iterdir())
    assert {f"twin-bold-{each[-8:]}.json" for each in ids[:2]} <= {each.name for each in files}

    done = push(oncely, tmp_path / "pulled")
    assert set(ids) <= {each["id"] for each in done}
    assert [each for each in done if each["verdict"] != "unchanged"] == []
    _, printed = oncely("rules", "pull", "--dir", tmp_path / "pulled")
    assert printed.startswith(f"0 written, {len(files)} unchanged")


def test_one_refused_rule_is_told_with_its_places_and_none_is_stored(
    oncely: Oncely, url: str, tmp_path: Path
) -> None:
    good = rule()
    bad = rule(condition={"and": [True, {"method": [{"var": "a"}, "x"]}]}, colour="red")
    path = write(tmp_path / "rules.json", [good, bad, {**good}, rule(action=[SEEN], id="x"), 7])

    code, printed = oncely("rules", "push", path, "--yes")

    assert code == output.Exit.FAILED
    for place in ("/1/condition/and/1:", "/1/colour:", "/3/action:", "/3/id:", "/4:"):
        assert f"{path}#{place}" in printed
    assert f"{path}#/2: means the same rule as {path}#/0" in printed
    assert "plan: 1 create, 4 refused" in printed
    assert client.call(url, "GET", f"/rules?q={good['name']}").body["rules"] == []
    broken = tmp_path / "broken.json"
    broken.write_text('{"name": ')
    assert oncely("rules", "push", broken, "--yes")[0] == output.Exit.FAILED


def test_push_asks_and_does_not_overwrite_what_was_changed_meanwhile(
    oncely: Oncely, url: str, tmp_path: Path
) -> None:
    wanted = rule()
    path = write(tmp_path / "rule.json", wanted)
    assert oncely("rules", "push", path)[0] == output.Exit.USAGE  # nobody is there to be asked
    rule_id = push(oncely, path)[0]["id"]
    write(path, {**wanted, "condition": False})

    terminal, side = pty.openpty()
    with process(url, "rules", "push", path, stdin=side) as asking:
        assert asking.stdout is not None
        printed = ""
        while "Change 1 rules?" not in printed:
            printed += asking.stdout.read(1)
        client.call(url, "PUT", f"/rules/{rule_id}", {**wanted, "condition": True})
        os.write(terminal, b"y\n")
        printed += asking.communicate(timeout=30)[0]
    os.close(terminal)
    os.close(side)

    assert asking.returncode == output.Exit.FAILED
    assert "was changed meanwhile" in printed
    stored = client.call(url, "GET", f"/rules/{rule_id}").body
    assert stored["published"]["condition"] is True


def test_a_rule_is_tried_on_data_and_on_a_stored_event(
    oncely: Oncely, url: str, tmp_path: Path
) -> None:
    wanted = rule(
        condition={"some": [{"var": "items"}, {">": [{"var": "n"}, 2]}]},
        action={"type": "log", "message": "{{ data.name }} {{ data.none }}"},
    )
    path = write(tmp_path / "rule.json", wanted)

    code, printed = oncely(
        "rules", "test", path, "--data", '{"items": [{"n": 1}, {"n": 3}], "name": "\\u009b["}'
    )
    assert code == 0
    assert printed.startswith("matched: some(items, (n > 2)) is true")
    lines = printed.splitlines()
    rounds = [each for each in lines if "#" in each]
    assert [each.split("→")[1].split()[0] for each in rounds] == ["false", "1", "true", "3"]
    assert "data.none" in printed
    assert not any(each in printed for each in CONTROLS)

    rule_id = push(oncely, path)[0]["id"]
    event_id = history.post_events(url, [(wanted["event_type"], {"items": []})])[0]
    code, printed = oncely("rules", "test", rule_id, "--event", event_id)
    assert code == 1
    assert printed.startswith("not matched: some(items")
    code, printed = oncely(
        "rules", "test", rule_id, "--type", "x", "--data", '{"items": [{"n":3}]}'
    )
    assert code == 1
    assert "does not look at events of type x" in printed
    code, printed = oncely("rules", "test", rule_id, "--data", '{"items": [{"n": "many"}]}')
    assert code == 4
    assert printed.startswith("failed: ")
    assert "NotANumber" in printed
    write(path, {**wanted, "condition": {"log": 1}})
    code, printed = oncely("rules", "test", path, "--data", "{}")
    assert code == 4
    assert f"{path}#/condition: `log` is not an operator" in printed


def test_an_old_version_is_compared_and_published_again(oncely: Oncely, url: str) -> None:
    stored = client.call(url, "POST", "/rules", rule()).body
    client.call(url, "PATCH", f"/rules/{stored['id']}", {"condition": True})

    code, printed = oncely("rules", "diff", stored["id"], 1, 2)
    assert (code, printed.strip()) == (0, '~ /condition  {">=":[{"var":"amount"},10]} → true')
    assert oncely("rules", "publish", stored["id"], 1)[0] == output.Exit.OK
    code, printed = oncely("rules", "show", stored["id"])
    assert code == output.Exit.OK
    assert "published: version 1" in printed
    code, printed = oncely("rules", "list", "--type", stored["published"]["event_type"], "--json")
    listed = msgspec.json.decode(printed)["rules"]
    assert stored["id"] in [each["id"] for each in listed]
    assert oncely("rules", "show", "../orders")[0] == output.Exit.REFUSED


def test_backtest_tells_its_counts_and_ctrl_c_cancels_the_job(
    oncely: Oncely, url: str, system: stack.System
) -> None:
    history.insert_ticks(system.database, event_type="tick", count=TICKS)
    every = [{"==": [{"%": [{"var": "n"}, number]}, 0]} for number in (5, 7)]
    rule_id, _ = history.insert_rule(
        system.database,
        history.version(every[0], event_type="tick"),
        history.version(every[1], event_type="tick", state="draft"),
    )

    code, printed = oncely("rules", "backtest", rule_id, "--max", 700, "--since", "1h", "--json")
    assert code == output.Exit.OK, printed
    answer = msgspec.json.decode(printed)
    job = answer["backtest"]
    assert (job["state"], job["examined"], job["both"]) == ("done", 700, 20)
    assert (job["gained"], job["lost"]) == (80, 120)
    assert {kind: len(rows) for kind, rows in answer["examples"].items()} == {
        "gained": 3,
        "lost": 3,
    }

    with process(url, "rules", "backtest", rule_id) as running:

        def half_way() -> str | None:
            jobs = client.call(url, "GET", f"/rules/{rule_id}/backtests?limit=1").body["backtests"]
            busy = jobs[0]["state"] == "running" and jobs[0]["examined"] > 0
            return str(jobs[0]["id"]) if busy else None

        job_id = deadlines.eventually(half_way, what="the job to run")
        running.send_signal(signal.SIGINT)
        printed, _ = running.communicate(timeout=30)
    assert running.returncode == output.Exit.INTERRUPTED, printed
    assert printed.startswith("cancelled: version 2 against version 1")
    assert client.call(url, "GET", f"/backtests/{job_id}").body["state"] == "cancelled"
    assert oncely("rules", "backtest", rule_id, "--since", "soon")[0] == output.Exit.USAGE


def test_settings_of_a_type_that_are_not_named_stay(oncely: Oncely, tmp_path: Path) -> None:
    name = f"type/{uuid.uuid4()}"
    schema = write(tmp_path / "schema.json", {"type": "object", "required": ["amount"]})

    code, printed = oncely("event-types", "show", name)
    assert code == output.Exit.OK
    assert "retry_limit            10" in printed
    assert oncely("event-types", "set", name, "--schema", schema, "--timeout-ms", 500)[0] == 0
    code, _ = oncely(
        "event-types",
        "set",
        name,
        "--retry-limit",
        3,
        "--key-policy",
        "pass",
        "--retention-days",
        9,
    )
    assert code == output.Exit.OK
    code, printed = oncely("event-types", "set", name, "--retention-days", "none", "--json")
    assert code == output.Exit.OK
    shown = msgspec.json.decode(printed)
    settings = ("processing_timeout_ms", "retry_limit", "key_policy", "retention_days", "topic")
    assert [shown[each] for each in settings] == [500, 3, "pass", None, None]
    assert shown["schema"]["required"] == ["amount"]
    assert name in oncely("event-types", "list")[1]
    code, printed = oncely("event-types", "set", name, "--topic", "nowhere")
    assert code == output.Exit.REFUSED
    assert "/topic: must be one of" in printed


def test_an_event_is_shown_with_what_each_rule_said(oncely: Oncely, url: str) -> None:
    kind = f"shown.{uuid.uuid4()}"
    rules = [
        rule(event_type=kind, condition=condition)
        for condition in (True, {"<": [{"var": "amount"}, 1]}, {">": [{"var": "note"}, 1]})
    ]
    for each in rules:
        assert client.call(url, "POST", "/rules", each).status == 201
    event_id = history.post_events(url, [(kind, {"amount": 7, "note": CONTROLS})])[0]

    def processed() -> bool:
        return client.call(url, "GET", f"/events/{event_id}").body["status"] == "processed"

    deadlines.eventually(processed, what="the event to be processed")
    code, printed = oncely("events", "attempts", event_id)
    assert code == output.Exit.OK
    assert "attempt 1: success" in printed
    lines = {
        each["name"]: line
        for each in rules
        for line in printed.splitlines()
        if each["name"] in line
    }
    for each, result in zip(rules, ("applied", "skipped", "failed"), strict=True):
        assert f"{each['name']} v1" in lines[each["name"]]
        assert result in lines[each["name"]]
    assert "amount is 7" in lines[rules[1]["name"]]
    assert not any(each in printed for each in CONTROLS)
    code, printed = oncely("events", "attempts", event_id, "--json")
    assert len(msgspec.json.decode(printed)["attempts"][0]["rule_executions"]) == len(rules)
    assert not any(each in printed for each in CONTROLS)

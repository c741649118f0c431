"""`oncely events show` and `replay`, `deliveries`, `dead-letters`, `replays`, `targets` against a
real api; what other services would write is put there by SQL.
"""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from cli import main, output
from tests.api import deliveries, rules, samples
from tests.fixtures import client, stack

# What a terminal would obey: the start of an ANSI sequence, CSI in one character, DEL.
CONTROLS = "\x1b[31m\x9b\x7f"

type Oncely = Callable[..., tuple[int, str]]


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An event whose webhook is unknown and given up."""

    event: str
    delivery: str
    letter: str


@pytest.fixture(scope="module")
def database(servers: stack.Servers) -> Iterator[stack.Database]:
    with stack.fresh_database(servers.postgres) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def url(
    servers: stack.Servers, database: stack.Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    topics = stack.Topics(prefix="tests-cli.", bootstrap_servers=servers.bootstrap_servers)
    system = stack.System(
        database=database, topics=topics, log_dir=tmp_path_factory.mktemp("effects")
    )
    yield system.start("api", REPLAY_POLL_SECONDS="0.1").url
    system.stop()


@pytest.fixture
def oncely(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Oncely:
    """Run a command line in this process: its exit code, and all that it printed."""
    monkeypatch.setenv("ONCELY_URL", url)

    def run(*arguments: object) -> tuple[int, str]:
        code = main.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


@pytest.fixture
def stored(url: str, database: stack.Database) -> Stored:
    event = rules.accept_event(url, type=f"kind.{uuid.uuid4().hex}")
    rule = rules.create(url, name=f"Hook [bold] {uuid.uuid4()}")
    version_id = database.value("select id from rule_versions where rule_id = %s", rule["id"])
    deliveries.attempt(database, event)
    deliveries.execution(database, event, version_id)
    sent = deliveries.insert(database, event, rule["id"], version_id, state="unknown")
    late = f"204 {CONTROLS}"
    deliveries.send(database, sent, 1, "unknown", error_class="Timeout", late_answer=late)
    letter = deliveries.give_up(database, event, sent, error_class=f"Timeout-{event[-6:]}")
    with database.connect() as conn:
        conn.execute("update events set status = 'failed' where id = %s", [event])
    return Stored(event=event, delivery=sent, letter=letter)


def decoded(printed: str) -> Any:
    return msgspec.json.decode(printed)


def test_show_prints_the_timeline_as_a_tree_that_no_terminal_obeys(
    oncely: Oncely, url: str, stored: Stored
) -> None:
    code, printed = oncely("events", "show", stored.event)
    assert code == output.Exit.OK
    lines = printed.splitlines()
    assert stored.event in lines[0]
    assert "failed" in lines[0]
    attempt = next(line for line in lines if "Attempt 1 is unknown, it may have arrived" in line)
    above = next(line for line in lines if "Webhook call_webhook of rule Hook [bold]" in line)
    assert above.index("+") < attempt.index("+")
    assert lines.index(above) < lines.index(attempt)
    assert "Attempt 1 (received) succeeded" in printed
    assert not any(each in printed for each in "\x1b\x9b\x7f")

    code, printed = oncely("events", "show", stored.event, "--json")
    assert decoded(printed) == client.call(url, "GET", f"/events/{stored.event}/timeline").body
    assert oncely("events", "show", uuid.uuid4())[0] == output.Exit.REFUSED
    assert oncely("events", "show", "no/such", "--external")[0] == output.Exit.REFUSED


def test_an_unknown_delivery_is_found_resolved_and_sent_again(
    oncely: Oncely, stored: Stored
) -> None:
    code, printed = oncely("deliveries", "list", "--event", stored.event, "--json")
    assert [row["id"] for row in decoded(printed)["deliveries"]] == [stored.delivery]
    code, printed = oncely("deliveries", "show", stored.delivery)
    assert code == output.Exit.OK
    assert "unknown: it may have arrived" in printed
    assert not any(each in printed for each in "\x1b\x9b\x7f")

    resolve = ("deliveries", "resolve", stored.delivery, "confirmed")
    assert oncely(*resolve)[0] == output.Exit.USAGE
    code, printed = oncely(*resolve, "--reason", "they have it")
    assert (code, printed.strip()) == (0, f"delivery {stored.delivery} is confirmed")
    code, printed = oncely("deliveries", "retry", stored.delivery)
    assert code == output.Exit.REFUSED
    assert "confirmed" in printed
    assert oncely("deliveries", "list", "--since", "soon")[0] == output.Exit.USAGE


def test_a_failed_delivery_is_due_again(
    oncely: Oncely, database: stack.Database, stored: Stored
) -> None:
    code, printed = oncely("deliveries", "retry", stored.delivery, "--reason", "mended", "--json")
    assert code == output.Exit.OK, printed
    state = "select state from deliveries where id = %s"
    assert database.value(state, stored.delivery) == "pending"


def test_dead_letters_are_counted_before_they_are_acted_on(oncely: Oncely, stored: Stored) -> None:
    only = f"stage=delivery,event_id={stored.event},created_after=1h"
    code, printed = oncely("dead-letters", "list", "--filter", only)
    assert (code, stored.letter in printed) == (0, True)
    code, printed = oncely("dead-letters", "redrive", "--filter", only, "--dry-run")
    assert (code, printed.strip()) == (0, "would redrive: 1 of 1 open (delivery 1)")
    code, printed = oncely("dead-letters", "redrive", "--filter", only)
    assert code == output.Exit.USAGE
    assert "--yes" in printed
    assert oncely("dead-letters", "redrive", "--yes")[0] == output.Exit.REFUSED
    assert oncely("dead-letters", "redrive", "--filter", "colour=red")[0] == output.Exit.USAGE
    assert oncely("dead-letters", "redrive", stored.letter, "--all")[0] == output.Exit.USAGE
    assert oncely("dead-letters", "discard", "--filter", only)[0] == output.Exit.USAGE
    code, printed = oncely("dead-letters", "stats", "--filter", f"{only},untyped=false", "--json")
    assert (code, decoded(printed)["open"]) == (0, 1)
    untyped = ("--filter", f"{only},untyped=true", "--dry-run")
    code, printed = oncely("dead-letters", "redrive", *untyped)
    assert (code, printed.strip()) == (0, "would redrive: 0 of 0 open")
    code, printed = oncely("dead-letters", "list", "--filter", "untyped=yes")
    assert (code, "untyped" in printed) == (output.Exit.REFUSED, True)

    code, printed = oncely("dead-letters", "redrive", "--filter", only, "--yes", "--json")
    assert (code, decoded(printed)["requested"]) == (0, 1)
    code, printed = oncely("dead-letters", "show", stored.letter)
    assert (code, "redrive_requested" in printed) == (0, True)
    code, _ = oncely("dead-letters", "discard", stored.letter, "--reason", "late")
    assert code == output.Exit.REFUSED
    assert oncely("dead-letters", "stats")[0] == output.Exit.OK


def test_one_event_is_replayed_and_many_as_a_job_after_a_preview(
    oncely: Oncely, url: str, database: stack.Database, stored: Stored
) -> None:
    replay = ("events", "replay")
    assert oncely(*replay, stored.event, "--effects", "force")[0] == output.Exit.REFUSED
    code, printed = oncely(*replay, stored.event, "--mode", "current", "--json")
    assert (code, decoded(printed)["replay"]) == (0, 1)
    code, printed = oncely(*replay, stored.event)
    assert code == output.Exit.REFUSED
    assert "pending" in printed
    assert oncely(*replay, stored.event, "--dry-run")[0] == output.Exit.USAGE
    assert oncely(*replay, stored.event, "--rule-version", "x")[0] == output.Exit.USAGE

    kind = client.call(url, "GET", f"/events/{stored.event}").body["type"]
    others = [client.call(url, "POST", "/events", samples.event(type=kind)) for _ in range(3)]
    with database.connect() as conn:
        conn.execute(
            "update events set status = 'processed' where id = any(%s)",
            [[each.body["id"] for each in others]],
        )
    only = ("--filter", f"type={kind},q={kind},status=processed", "--reason", "a test")
    code, printed = oncely(*replay, *only, "--dry-run", "--json")
    assert (code, decoded(printed)["replayable"]) == (0, 3)
    assert oncely(*replay, *only)[0] == output.Exit.USAGE
    code, printed = oncely(*replay, *only, "--yes", "--wait")
    assert code == output.Exit.OK, printed
    assert "done: 3 of 3 events, 3 replayed" in printed
    code, printed_list = oncely("replays", "list", "--json")
    job = decoded(printed_list)["replays"][0]["id"]
    assert f"job {job}" in printed
    assert oncely("replays", "show", job)[0] == output.Exit.OK
    for act in ("pause", "resume", "cancel"):
        assert oncely("replays", act, job)[0] == output.Exit.REFUSED


def test_a_target_is_made_rotated_stopped_and_archived(oncely: Oncely) -> None:
    name = f"target-{uuid.uuid4()}"
    make = ("targets", "create", name, "http://127.0.0.1:12345/hooks")
    code, printed = oncely(*make, "--header", "X-One: 1", "--rate", 5, "--json")
    assert code == output.Exit.OK, printed
    made = decoded(printed)
    assert made["secret"].startswith("whsec_")
    assert oncely(*make)[0] == output.Exit.REFUSED
    assert oncely(*make, "--header", "nothing")[0] == output.Exit.USAGE

    target = made["id"]
    code, printed = oncely("targets", "rotate", target, "--overlap-seconds", 60)
    assert (code, "secret whsec_" in printed) == (0, True)
    code, printed = oncely("targets", "show", target)
    assert (code, "whsec_" in printed) == (0, False)
    assert oncely("targets", "disable", target)[0] == output.Exit.USAGE
    assert oncely("targets", "disable", target, "--reason", "it is mended")[0] == output.Exit.OK
    assert "it is mended" in oncely("targets", "list")[1]
    assert oncely("targets", "enable", target)[0] == output.Exit.OK
    code, printed = oncely("targets", "delete", target)
    assert (code, printed.strip()) == (0, f"target {target} is archived")
    assert target in oncely("targets", "list", "--archived")[1]

"""A type may have a topic of its own: made by the migrator, known to every service."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.consumer.settings import ConsumerSettings
from shared import settings
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually
from tests.relay import rows

PROJECT = Path(__file__).resolve().parents[2]
EXTRA = {
    "EXTRA_TOPICS": "payments,clicks",
    "SESSION_TIMEOUT_MS": "6000",  # a member that joins is heard of with a heartbeat, a third of it
}


def _migrate(system: stack.System, *, partitions: int = stack.PARTITIONS) -> int:
    env = {
        **os.environ,
        **EXTRA,
        "DATABASE_URL": system.database.url(),
        "KAFKA_BOOTSTRAP_SERVERS": system.topics.bootstrap_servers,
        "TOPIC_PREFIX": system.topics.prefix,
        "TOPIC_PARTITIONS": str(partitions),
    }
    command = [sys.executable, "-m", "shared.migrations", "up"]
    return subprocess.run(
        command, cwd=PROJECT, env=env, capture_output=True, check=False, timeout=60
    ).returncode


def _take_topic(api: str, event_type: str, topic: str) -> None:
    made = client.call(api, "PUT", f"/event-types/{event_type}", {"topic": topic})
    assert made.status == 200, made


def _send(api: str, event_id: str, event_type: str) -> str:
    body = {"id": event_id, "type": event_type, "subject": "account-1", "data": {"n": 1}}
    answer = client.call(api, "POST", "/events", body)
    assert answer.status == 201, answer
    return answer.body["id"]


def _status(api: str, event_id: str) -> str:
    return client.call(api, "GET", f"/events/{event_id}").body["status"]


def test_an_event_is_applied_from_its_type_s_own_topic(system: stack.System) -> None:
    assert _migrate(system) == 0
    own = f"{system.topics.prefix}payments"
    api = system.start_all(**EXTRA).url
    _take_topic(api, "payment.completed", own)

    paid = _send(api, "p-1", "payment.completed")
    other = _send(api, "o-1", "profile.changed")

    for event_id in (paid, other):
        eventually(lambda found=event_id: _status(api, found) == "processed")
    places = dict(system.database.rows("select event_id::text, topic from processed_events"))
    assert places == {paid: own, other: system.topics.events}
    log = rows.read_log(system.topics.bootstrap_servers, own)
    assert [str(record.envelope.event_id) for record in log] == [paid]


def test_a_busy_topic_may_have_consumers_of_its_own(system: stack.System) -> None:
    assert _migrate(system) == 0
    own = f"{system.topics.prefix}payments"
    api = system.start("api", wait=True, **EXTRA).url
    system.start("relay", wait=True, **EXTRA)
    rest = system.start("consumer", CONSUMER_TOPICS="orders,events,clicks", wait=True, **EXTRA)
    _take_topic(api, "payment.completed", own)

    waiting = _send(api, "p-1", "payment.completed")
    _send(api, "o-1", "profile.changed")
    eventually(
        lambda: system.database.value("select count(*) from processed_events") == 1,
        what="the other consumer to have applied what is its own",
    )
    assert _status(api, waiting) == "pending"

    special = system.start("consumer", CONSUMER_TOPICS="payments", wait=True, **EXTRA)
    eventually(lambda: _status(api, waiting) == "processed", deadline_seconds=20)
    members = dict(system.database.rows("select topic, consumer from processed_events"))
    assert members == {own: special.name, system.topics.events: rest.name}


def test_a_topic_with_other_partitions_is_not_taken_for_its_own(system: stack.System) -> None:
    assert _migrate(system) == 0
    assert _migrate(system) == 0
    assert _migrate(system, partitions=stack.PARTITIONS + 1) == 1


@pytest.mark.parametrize(
    "env",
    [
        {"EXTRA_TOPICS": "a b"},
        {"EXTRA_TOPICS": "a,,b"},
        {"EXTRA_TOPICS": ","},
        {"EXTRA_TOPICS": "a,a"},
        {"EXTRA_TOPICS": "events"},
        {"EXTRA_TOPICS": "pay/ments"},
        {"EXTRA_TOPICS": ",".join(f"t{n}" for n in range(33))},
        {"CONSUMER_TOPICS": "payments"},
        {"CONSUMER_TOPICS": "events,"},
        {"CONSUMER_TOPICS": "oncely.events"},
        {"CONSUMER_TOPICS": "clicks", "EXTRA_TOPICS": "payments"},
    ],
)
def test_topics_that_make_no_sense_are_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], env: dict[str, str]
) -> None:
    good = {"DATABASE_URL": "postgresql://u@h/d", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    for name, value in {**good, **env}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as stopped:
        settings.load(ConsumerSettings)

    assert stopped.value.code == settings.EX_CONFIG
    assert next(iter(env)) in capsys.readouterr().err


def test_a_consumer_reads_all_topics_or_those_that_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = {"DATABASE_URL": "postgresql://u@h/d", "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    for name, value in {**good, **EXTRA}.items():
        monkeypatch.setenv(name, value)
    names = ("orders", "events", "payments", "clicks")
    assert settings.load(ConsumerSettings).topics == [f"oncely.{name}" for name in names]
    monkeypatch.setenv("CONSUMER_TOPICS", "clicks, payments,clicks")
    assert settings.load(ConsumerSettings).topics == ["oncely.clicks", "oncely.payments"]

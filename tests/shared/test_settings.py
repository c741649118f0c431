import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared import settings

GOOD = {"DATABASE_URL": "postgresql://u:p@localhost:5432/x"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)


def _set(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_defaults_need_only_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, **GOOD)

    loaded = settings.load(settings.Settings)

    assert loaded.orders_topic == "oncely.orders"
    assert not loaded.faults_enabled


def test_all_errors_are_listed_at_once_and_the_status_is_78(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _set(monkeypatch, DRAIN_SECONDS="5 s", LOG_FORMAT="loud", TOPIC_PREFIX="a/b")

    with pytest.raises(SystemExit) as stopped:
        settings.load(settings.Settings)

    assert stopped.value.code == settings.EX_CONFIG
    told = capsys.readouterr().err
    for name in ("DATABASE_URL", "DRAIN_SECONDS", "LOG_FORMAT", "TOPIC_PREFIX"):
        assert name in told


@pytest.mark.parametrize("value", ["", " ", "-1", "0", "1e9", "nan", "inf", "ten"])
def test_a_senseless_number_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    _set(monkeypatch, **GOOD, DRAIN_SECONDS=value)

    with pytest.raises(SystemExit):
        settings.load(settings.Settings)


def test_a_wrong_secret_is_never_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _set(monkeypatch, DATABASE_URL="mysql://root:hunter2@db/x")

    with pytest.raises(SystemExit):
        settings.load(settings.Settings)

    assert "hunter2" not in capsys.readouterr().err


def test_a_loaded_secret_is_masked_in_its_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, DATABASE_URL="postgresql://u:hunter2@db/x")

    loaded = settings.load(settings.Settings)

    assert "hunter2" not in repr(loaded)
    assert "hunter2" in loaded.database_dsn


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:p%40%25@db/x\n")
    _set(monkeypatch, DATABASE_URL_FILE=str(secret))

    assert settings.load(settings.Settings).database_dsn == "postgresql://u:p%40%25@db/x"


def test_an_unreadable_secret_file_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _set(monkeypatch, DATABASE_URL_FILE=str(tmp_path / "absent"))

    with pytest.raises(SystemExit) as stopped:
        settings.load(settings.Settings)

    assert stopped.value.code == settings.EX_CONFIG
    assert "DATABASE_URL_FILE" in capsys.readouterr().err


def test_faults_are_refused_in_production(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _set(monkeypatch, **GOOD, APP_ENV="production", FAULTS_ENABLED="1")

    with pytest.raises(SystemExit):
        settings.load(settings.Settings)

    assert "FAULTS_ENABLED is refused" in capsys.readouterr().err


def test_failpoints_without_faults_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, **GOOD, FAILPOINTS="relay.after_park=kill")

    with pytest.raises(SystemExit):
        settings.load(settings.Settings)


@pytest.mark.parametrize("service", ["api", "relay", "consumer", "consumer dispatch"])
def test_every_service_refuses_to_start_on_a_bad_setting(service: str) -> None:
    env = {"PATH": os.environ["PATH"], "DRAIN_SECONDS": "-1"}

    done = subprocess.run(
        [sys.executable, "-m", *f"services.{service}".split()],
        env=env,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == settings.EX_CONFIG, done.stderr
    assert "DATABASE_URL" in done.stderr
    assert "DRAIN_SECONDS" in done.stderr


@pytest.mark.parametrize("service", ["relay", "consumer"])
def test_a_loop_without_a_broker_is_refused(service: str) -> None:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x"}

    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        env=env,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == settings.EX_CONFIG, done.stderr
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr

"""`python -m services.consumer dispatch`: settings, probes, one event loop, drain."""

import asyncio
import gc
import os
import secrets
import signal
import sys
import time

from services.consumer.dispatcher import links, loop, mail, senders, status
from services.consumer.dispatcher import settings as dispatch_settings
from services.consumer.queries import dispatch
from shared import (
    database,
    egress,
    errors,
    fault_rules,
    faults,
    health,
    lifecycle,
    live,
    settings,
    telemetry,
)

EXIT_CRASHED = 1
WAIT_SECONDS = 0.2
GC_OBJECTS = 100_000

_log = telemetry.logger(__name__)


def main() -> int:
    loaded = settings.load(dispatch_settings.DispatchSettings)
    name = lifecycle.instance_name(loaded.instance_id)
    telemetry.start_logs(
        service="dispatcher", instance=name, log_format=loaded.log_format, level=loaded.log_level
    )
    telemetry.start_metrics(service="dispatcher", instance=name)
    try:
        faults.configure(enabled=loaded.faults_enabled, failpoints=loaded.failpoints)
    except errors.ConfigurationError as error:
        sys.stderr.write(f"configuration refused:\n  {error}\n")
        return settings.EX_CONFIG
    # Tasks and their futures come and go by the thousand and leave no cycles: look for them rarely.
    gc.freeze()
    gc.set_threshold(GC_OBJECTS)
    return asyncio.run(_Process(loaded, name).run())


class _Process:
    """Its parts, made in the event loop."""

    def __init__(self, loaded: dispatch_settings.DispatchSettings, name: str) -> None:
        self._loaded = loaded
        self._name = name
        self._claiming = links.Link(loaded, name=f"{name} claims")
        self._recording = links.Link(loaded, name=f"{name} records")
        self._listening = links.Link(loaded, name=f"{name} listens")
        self._state = status.Status(
            links=[self._claiming, self._recording],
            silence_seconds_max=loaded.silence_seconds_max,
            stall_seconds=loaded.stall_seconds,
        )
        self._asked_to_stop = False
        self._loop: loop.Loop | None = None

    async def run(self) -> int:
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, self._on_signal)
        probes = health.HealthServer(
            host=self._loaded.health_host,
            port=self._loaded.health_port,
            alive=lambda: self._state.alive,
            readiness=self._state.readiness,
        )
        probes.start()
        _log.info("dispatcher started", health_port=probes.port)
        try:
            await self._wait_for_schema()
        except errors.SchemaMismatch as error:
            _log.error("schema refused", error=str(error))
            return settings.EX_CONFIG
        exit_status = await self._dispatch()
        _log.info("dispatcher stopped", status=exit_status)
        probes.close()
        return exit_status

    def _on_signal(self) -> None:
        """The second one ends the process at once: whoever presses Ctrl-C twice means it."""
        if self._asked_to_stop:
            os._exit(lifecycle.EXIT_INTERRUPTED)
        self._asked_to_stop = True
        if self._loop is not None:
            self._loop.stop()

    async def _dispatch(self) -> int:
        rules = self._fault_rules()
        sender = _make_sender(self._loaded)
        announcer = live.Announcer(
            self._loaded.database_dsn,
            instance=self._name,
            interval_ms=self._loaded.live_interval_ms,
        )
        announcer.start()
        self._loop = loop.Loop(
            self._loaded,
            # Never the name of another run: what that one claimed is not ours.
            me=f"{self._name}-{secrets.token_hex(4)}",
            state=self._state,
            claiming=self._claiming,
            recording=self._recording,
            listening=self._listening,
            send=sender.send,
            fails=None if rules is None else _failing_by(rules),
            announcer=announcer,
        )
        if self._asked_to_stop:
            self._loop.stop()
        try:
            await self._loop.run()
        except Exception as error:  # noqa: BLE001 it is logged and ends the process
            self._state.crash = f"{type(error).__name__}: {error}"
            _log.exception("dispatcher failed")
            return EXIT_CRASHED
        finally:
            await sender.aclose()
            await asyncio.to_thread(announcer.close)
            for link in (self._claiming, self._recording, self._listening):
                await link.close()
            if rules is not None:
                rules.close()
        return 0

    async def _wait_for_schema(self) -> None:
        """Refuse another schema now; a database that is away is waited for as ever."""
        deadline = time.monotonic() + self._loaded.startup_seconds
        while not self._asked_to_stop and time.monotonic() < deadline:
            self._state.loop.beat()
            try:
                await self._recording.connection()
            except database.Error as error:
                _log.warning("database away", error=str(error).strip())
                await asyncio.sleep(WAIT_SECONDS)
            else:
                return

    def _fault_rules(self) -> fault_rules.FaultRules | None:
        if not faults.ENABLED:
            return None
        rules = fault_rules.FaultRules(
            service="dispatcher", instance=self._name, dsn=self._loaded.database_dsn
        )
        rules.start()
        self._state.faults = rules.active
        return rules


def _make_sender(loaded: dispatch_settings.DispatchSettings) -> senders.Sender:
    server = mail.Server(
        host=loaded.smtp_host,
        port=loaded.smtp_port,
        tls=loaded.smtp_starttls,
        username=loaded.smtp_user,
        password=loaded.smtp_password.get_secret_value(),
        ca_file=loaded.smtp_ca_file,
    )
    return senders.make_sender(
        allowed=egress.read_networks(loaded.webhook_allow_cidrs),
        connections_max=loaded.delivery_in_flight_max,
        ca_file=loaded.webhook_ca_file,
        email_mode=loaded.email_mode,
        email_from=loaded.email_from,
        smtp=server if loaded.email_mode == "smtp" else None,
    )


def _failing_by(rules: fault_rules.FaultRules) -> loop.Fails:
    """The knob successOnAttempt: attempts before the n-th are not sent and fail."""

    async def fails(claimed: dispatch.Claimed) -> str | None:
        wanted = await asyncio.to_thread(
            rules.success_on_attempt,
            aggregate_id=claimed.aggregate_id,
            event_type=claimed.event_type,
            attempt_no=claimed.attempt_no,
        )
        if claimed.attempt_no >= wanted:
            return None
        return f"successOnAttempt={wanted}, this is attempt {claimed.attempt_no}"

    return fails

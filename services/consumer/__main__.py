"""`python -m services.consumer`: settings, probes, two threads, drain.

`... dispatch` is the other role of this image: it sends what the consumer has committed.
"""

import gc
import os
import sys
import threading
import time
from collections.abc import Callable

from services.consumer import failures, loop, partitions, records, status, writer
from services.consumer.settings import ConsumerSettings
from shared import (
    database,
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
EXIT_USAGE = 64  # EX_USAGE of sysexits.h
WATCH_SECONDS = 0.2
# The database thread wakes after each round trip and needs the interpreter: waiting the default
# 5 ms for a Kafka thread that plans a batch would cost more than the statement did.
SWITCH_SECONDS = 0.0005
# A batch makes tens of thousands of objects without one cycle: look for cycles rarely.
GC_OBJECTS = 100_000

_log = telemetry.logger(__name__)


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            return consume()
        case ["dispatch"]:
            # The consumer has no use for an HTTP client: it is imported where it is asked for.
            from services.consumer.dispatcher import process  # noqa: PLC0415

            return process.main()
        case _:
            sys.stderr.write("usage: python -m services.consumer [dispatch]\n")
            return EXIT_USAGE


def consume() -> int:
    loaded = settings.load(ConsumerSettings)
    name = lifecycle.instance_name(loaded.instance_id)
    telemetry.start_logs(
        service="consumer", instance=name, log_format=loaded.log_format, level=loaded.log_level
    )
    telemetry.start_metrics(service="consumer", instance=name)
    try:
        faults.configure(enabled=loaded.faults_enabled, failpoints=loaded.failpoints)
    except errors.ConfigurationError as error:
        sys.stderr.write(f"configuration refused:\n  {error}\n")
        return settings.EX_CONFIG
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(GC_OBJECTS)
    life = lifecycle.Lifecycle()
    life.install()
    state = status.Status(
        silence_seconds_max=loaded.silence_seconds_max, stall_seconds=loaded.stall_seconds
    )
    probes = health.HealthServer(
        host=loaded.health_host,
        port=loaded.health_port,
        alive=lambda: state.alive,
        readiness=state.readiness,
    )
    probes.start()
    _log.info("consumer started", health_port=probes.port, group=loaded.consumer_group)
    try:
        _wait_for_schema(loaded, name, life, state)
    except errors.SchemaMismatch as error:
        _log.error("schema refused", error=str(error))
        return settings.EX_CONFIG
    exit_status = _consume(loaded, name, life, state)
    _log.info("consumer stopped", status=exit_status)
    probes.close()
    return exit_status


def _consume(
    loaded: ConsumerSettings, name: str, life: lifecycle.Lifecycle, state: status.Status
) -> int:
    """Run both threads until one of them fails or the process is asked to stop."""
    rules = _fault_rules(loaded, name)
    if rules is not None:
        state.faults = rules.active
    owned = partitions.Partitions()
    announcer = live.Announcer(
        loaded.database_dsn, instance=name, interval_ms=loaded.live_interval_ms
    )
    announcer.start()
    output = writer.Writer(
        settings=loaded,
        consumer=name,
        owned=owned,
        state=state,
        fails=None if rules is None else _failing_by(rules),
        announcer=announcer,
    )
    source = loop.Loop(
        settings=loaded,
        consumer=name,
        owned=owned,
        state=state,
        output=output,
        stopping=life.stopping,
    )
    database_thread = _thread("database", output.run, state, life)
    kafka_thread = _thread("kafka", source.run, state, life)
    database_thread.start()
    kafka_thread.start()
    while not life.stopping.wait(WATCH_SECONDS):
        pass
    deadline = time.monotonic() + loaded.drain_seconds
    kafka_thread.join(max(deadline - time.monotonic(), 0))
    if not kafka_thread.is_alive() and not state.crash:
        output.finish()
    else:
        output.abandon()
    database_thread.join(max(deadline - time.monotonic(), 0.5))
    announcer.close()
    if rules is not None:
        rules.close()
    return EXIT_CRASHED if state.crash else 0


def _thread(
    name: str, body: Callable[[], None], state: status.Status, life: lifecycle.Lifecycle
) -> threading.Thread:
    """A thread whose failure ends the process: half a consumer is worse than none."""

    def run() -> None:
        try:
            body()
        except Exception as error:  # noqa: BLE001 whatever it is, it is logged and ends the process
            state.crash = f"{name}: {type(error).__name__}: {error}"
            _log.exception("thread failed", thread=name)
            life.stopping.set()

    return threading.Thread(target=run, name=name, daemon=True)


def _wait_for_schema(
    loaded: ConsumerSettings, name: str, life: lifecycle.Lifecycle, state: status.Status
) -> None:
    """Refuse another schema now; a database that is away is waited for by the writer as ever."""
    deadline = time.monotonic() + loaded.startup_seconds
    while not life.stopping.is_set() and time.monotonic() < deadline:
        state.database_loop.beat()
        state.kafka_loop.beat()
        try:
            writer.connect(loaded, consumer=name).close()
        except database.Error as error:
            state.database_error = f"away ({type(error).__name__})"
            _log.warning("database away", error=str(error).strip())
            life.stopping.wait(WATCH_SECONDS)
        else:
            return


def _fault_rules(loaded: ConsumerSettings, name: str) -> fault_rules.FaultRules | None:
    if not faults.ENABLED:
        return None
    rules = fault_rules.FaultRules(service="consumer", instance=name, dsn=loaded.database_dsn)
    rules.start()
    return rules


def _failing_by(
    rules: fault_rules.FaultRules,
) -> Callable[[records.Event], failures.Failure | None]:
    """The knob successOnAttempt: attempts before the n-th fail as time would mend it."""

    def fails(event: records.Event) -> failures.Failure | None:
        envelope = event.envelope
        wanted = rules.success_on_attempt(
            aggregate_id=envelope.aggregate_id,
            event_type=envelope.event_type,
            attempt_no=event.attempt_no,
        )
        if event.attempt_no >= wanted:
            return None
        error = errors.RetryLater(f"successOnAttempt={wanted}, this is attempt {event.attempt_no}")
        return failures.of(error, injected=True)

    return fails


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # Not a return: a broker that is away must not keep the interpreter in the client's clean-up.
    os._exit(code)

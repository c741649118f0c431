"""`python -m services.relay`: settings, logs, probes, the loop; SIGTERM drains."""

import sys
import time

from services.relay import loop, readiness, settings, topics
from shared import (
    database,
    errors,
    fault_rules,
    faults,
    health,
    lifecycle,
    migrations,
    telemetry,
)
from shared import settings as shared_settings

_RETRY_SECONDS = 1.0
# Three threads share one interpreter. By default one of them may keep the others waiting for 5 ms
# at each step between commit and acknowledgement; measured, the shorter turn costs no throughput.
_SWITCH_SECONDS = 0.0005

_log = telemetry.logger(__name__)


def main() -> int:
    """Run until a signal; 0 after a drain, 78 when the configuration does not fit what is there."""
    loaded = shared_settings.load(settings.RelaySettings)
    instance = lifecycle.instance_name(loaded.instance_id)
    telemetry.start_logs(
        service="relay", instance=instance, log_format=loaded.log_format, level=loaded.log_level
    )
    telemetry.start_metrics(service="relay", instance=instance)
    life = lifecycle.Lifecycle()
    life.install()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        faults.configure(enabled=loaded.faults_enabled, failpoints=loaded.failpoints)
        _require_schema(loaded)
        topics.wait_for_topics(loaded)
        _serve(loaded, instance=instance, life=life)
    except (errors.ConfigurationError, errors.SchemaMismatch) as error:
        _log.error("refused to run", reason=str(error))
        return shared_settings.EX_CONFIG
    return 0


def _serve(loaded: settings.RelaySettings, *, instance: str, life: lifecycle.Lifecycle) -> None:
    rules = None
    if loaded.faults_enabled:
        rules = fault_rules.FaultRules(service="relay", instance=instance, dsn=loaded.database_dsn)
        rules.start()
    relay = loop.Relay(loaded, instance=instance, stopping=life.stopping, rules=rules)
    probes = health.HealthServer(
        host=loaded.health_host,
        port=loaded.health_port,
        alive=lambda: relay.heartbeat.alive,
        readiness=lambda: readiness.readiness(relay, loaded),
    )
    probes.start()
    _log.info("relay started", health_port=probes.port)
    try:
        relay.run()
    finally:
        probes.close()
        if rules is not None:
            rules.close()


def _require_schema(loaded: settings.RelaySettings) -> None:
    """Wait for Postgres, at most START_SECONDS, and refuse another schema than ours."""
    deadline = time.monotonic() + loaded.start_seconds
    while True:
        try:
            with database.connect(loaded.database_dsn, application_name="oncely-relay") as conn:
                migrations.require_current(conn)
        except database.Error as error:
            if (
                database.kind_of(error) is not database.ErrorKind.CONNECTION
                or time.monotonic() > deadline
            ):
                raise
            _log.info("waiting for Postgres", sqlstate=error.sqlstate)
            time.sleep(_RETRY_SECONDS)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())

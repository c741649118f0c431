"""`python -m services.api`: settings, logs, a database that is there and fits, then serve until
SIGTERM.
"""

import sys
import time

from services.api import app, openapi, server
from services.api.queries import health as queries
from services.api.rules import schema
from services.api.settings import ApiSettings
from shared import database, errors, faults, lifecycle, migrations, settings, telemetry

EX_UNAVAILABLE = 69
_RETRY_SECONDS = 0.2
_NO_SUCH_TABLE_OR_RIGHT = "42"  # class of SQLSTATE; waiting does not mend it
_log = telemetry.logger(__name__)


def main(arguments: list[str]) -> int:
    match arguments:
        case []:
            return serve()
        case ["openapi"]:
            openapi.FILE.write_bytes(openapi.encode(app.openapi_document()))
            schema.FILE.write_bytes(schema.encode())
            return 0
        case ["openapi", "verify"]:
            differences = openapi.verify(app.openapi_document())
            sys.stderr.write("".join(f"{line}\n" for line in differences))
            return 1 if differences else 0
        case _:
            sys.stderr.write("usage: python -m services.api [openapi [verify]]\n")
            return 2


def serve() -> int:
    loaded = settings.load(ApiSettings)
    instance = lifecycle.instance_name(loaded.instance_id)
    telemetry.start_logs(
        service="api", instance=instance, log_format=loaded.log_format, level=loaded.log_level
    )
    telemetry.start_metrics(service="api", instance=instance)
    try:
        faults.configure(enabled=loaded.faults_enabled, failpoints=loaded.failpoints)
        require_database(loaded)
    except errors.ConfigurationError as error:
        sys.stderr.write(f"configuration refused:\n  {error}\n")
        return settings.EX_CONFIG
    except errors.SchemaMismatch as error:
        _log.error("schema does not fit", detail=str(error))
        return settings.EX_CONFIG
    except database.Error as error:
        _log.error("database did not answer in time", error=type(error).__name__)
        return EX_UNAVAILABLE
    if loaded.auth_mode == "none" and loaded.host not in {"127.0.0.1", "::1", "localhost"}:
        _log.warning("serving without authentication on a network address", host=loaded.host)
    server.make_server(app.create_app(loaded), loaded).run()
    _log.info("api stopped")
    return 0


def require_database(loaded: ApiSettings) -> None:
    """Wait for the database within a bound; refuse one whose schema or durability does not fit."""
    deadline = time.monotonic() + loaded.startup_seconds
    while True:
        try:
            with database.connect(
                loaded.database_dsn, application_name="oncely-api-start", autocommit=True
            ) as conn:
                migrations.require_current(conn)
                unsafe = queries.unsafe_settings(conn)
            break
        except database.Error as error:
            if (error.sqlstate or "").startswith(_NO_SUCH_TABLE_OR_RIGHT):
                message = "the database has no schema that this role can read: run the migrations"
                raise errors.SchemaMismatch(message) from error
            if time.monotonic() > deadline:
                raise
            _log.info("waiting for the database")
            time.sleep(_RETRY_SECONDS)
    if unsafe:
        names = ", ".join(unsafe)
        message = f"the database runs with {names} off: a crash could take back what is published"
        raise errors.ConfigurationError(message)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

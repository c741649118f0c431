"""Puts the service together: resources, Litestar for the reads, the front around it. Nothing is
made at import.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ASGIApp, ControllerRouterHandler
from pydantic import SecretStr

from services.api import (
    access,
    calls,
    coalescer,
    database_pool,
    dead_letter_bulk,
    dead_letters,
    events,
    fates,
    faults,
    front,
    health,
    keyring,
    metrics,
    notifier,
    openapi,
    orders,
    pages,
    problems,
    retention,
    routing,
    writes,
)
from services.api.backtests import routes as backtests
from services.api.backtests import runner as backtest_runner
from services.api.data_schemas import catalogue
from services.api.deliveries import acts as deliveries
from services.api.event_types import payload_retention
from services.api.event_types import routes as event_types
from services.api.keys import routes as key_routes
from services.api.replays import jobs as replay_jobs
from services.api.replays import routes as replays
from services.api.replays import runner as replay_runner
from services.api.rules import routes as rules
from services.api.rules import schema, shadow, trials
from services.api.settings import ApiSettings
from services.api.targets import routes as targets
from services.api.timeline import routes as timeline
from shared import lifecycle

COMMANDS: tuple[calls.Command, ...] = (
    *orders.COMMANDS,
    *events.COMMANDS,
    *dead_letters.COMMANDS,
    *dead_letter_bulk.COMMANDS,
)
READS: tuple[ControllerRouterHandler, ...] = (
    pages.landing,
    pages.list_problems,
    pages.get_problem,
    orders.get_order,
    orders.list_orders,
    events.get_stats,
    events.get_event,
    events.list_events,
    events.list_attempts,
    events.list_receipts,
    *timeline.ROUTES,
    dead_letters.list_dead_letters,
    dead_letters.get_dead_letter_stats,
    dead_letters.get_dead_letter,
    *schema.ROUTES,
    *rules.ROUTES,
    *trials.ROUTES,
    *backtests.ROUTES,
    *replays.ROUTES,
    *replay_jobs.ROUTES,
    *shadow.ROUTES,
    *event_types.ROUTES,
    *targets.ROUTES,
    *deliveries.ROUTES,
    *key_routes.ROUTES,
    health.live,
    health.ready,
    health.read_metrics,
)
_HTTP_KINDS = {404: "not-found", 405: "method-not-allowed", 413: "body-too-large"}


def create_app(settings: ApiSettings) -> ASGIApp:
    """The ASGI application of one process."""
    resources, notify = _make_resources(settings)
    keys = retention.Retention(pool=resources.pool, limits=_retention_limits(settings))
    payloads = payload_retention.PayloadRetention(
        pool=resources.pool, limits=_payload_limits(settings)
    )
    backtesting = _make_backtest_runner(settings, resources)
    replaying = _make_replay_runner(settings, resources, notify)
    request_metrics = metrics.RequestMetrics()
    held = _make_keyring(settings)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with AsyncExitStack() as cleanup:
            request_metrics.register()
            cleanup.callback(request_metrics.unregister)
            cleanup.push_async_callback(await faults.watch(settings))
            await resources.pool.open(wait=False)
            cleanup.push_async_callback(resources.pool.close, timeout=settings.drain_seconds)
            for part in (notify, keys, payloads):
                part.start()
                cleanup.push_async_callback(part.close)
            cleanup.push_async_callback(resources.types.close)
            resources.types.start()
            await resources.types.wait()
            if held is not None:
                held.start()
                cleanup.push_async_callback(held.close)
                await held.wait()
            for part in (backtesting, replaying, resources.coalescer):
                part.start()
                cleanup.push_async_callback(part.close)
            yield

    handlers = _handlers(settings, pool=resources.pool)
    document = _describe(handlers)
    reads = _make_reads(
        settings,
        handlers,
        state={
            "resources": resources,
            "pool": resources.pool,
            "backtest_runner": backtesting,
            "replay_runner": replaying,
            "notify": notify,
            "keyring": held,
            "request_metrics": request_metrics,
            "background": [
                part
                for part in (notify, keys, payloads, resources.types, held, backtesting, replaying)
                if part is not None
            ],
            "openapi": openapi.encode(document),
            "query_names": _query_names(document),
        },
        lifespan=lifespan,
    )
    read_methods = {route.path: {str(method) for method in route.methods} for route in reads.routes}
    return front.Front(
        inner=reads,
        routes=routing.Routes(COMMANDS),
        read_methods=read_methods,
        resources=resources,
        gate=_make_gate(held, reads),
        request_metrics=request_metrics,
    )


def openapi_document() -> dict[str, Any]:
    """The document of the whole API as it is with faults off; needs no database."""
    settings = ApiSettings(database_url=SecretStr("postgresql://nobody"))
    return _describe(_handlers(settings, pool=None))


def _make_resources(settings: ApiSettings) -> tuple[calls.Resources, notifier.Notifier]:
    notify = notifier.Notifier(dsn=settings.database_dsn, interval_ms=settings.notify_interval_ms)
    limits = coalescer.Limits(
        queue_max=settings.coalesce_queue_max,
        batch_max=settings.coalesce_batch_max,
        writers=settings.coalesce_writers,
        attempts_max=settings.coalesce_attempts_max,
        commit_seconds=settings.commit_seconds,
    )
    resources = calls.Resources(
        settings=settings,
        coalescer=coalescer.Coalescer(
            dsn=settings.database_dsn, limits=limits, apply=writes.apply, on_commit=notify.wake
        ),
        pool=database_pool.make_pool(
            settings.database_dsn,
            application_name="oncely-api-reads",
            size_max=settings.pool_size_max,
            wait_seconds=settings.pool_wait_seconds,
            statement_ms=settings.read_timeout_ms,
        ),
        types=catalogue.Catalogue(
            dsn=settings.database_dsn,
            reader=lifecycle.instance_name(settings.instance_id),
            topics=settings.event_type_topics,
        ),
    )
    return resources, notify


def _make_keyring(settings: ApiSettings) -> keyring.Keyring | None:
    if settings.auth_mode == "none":
        return None
    return keyring.Keyring(
        dsn=settings.database_dsn, admin_key=settings.admin_api_key.get_secret_value()
    )


def _make_backtest_runner(
    settings: ApiSettings, resources: calls.Resources
) -> backtest_runner.Runner:
    return backtest_runner.Runner(
        pool=resources.pool,
        instance=lifecycle.instance_name(settings.instance_id),
        limits=backtest_runner.Limits(
            poll_seconds=settings.backtest_poll_seconds,
            lease_seconds=settings.backtest_lease_seconds,
        ),
    )


def _make_replay_runner(
    settings: ApiSettings, resources: calls.Resources, notify: notifier.Notifier
) -> replay_runner.Runner:
    return replay_runner.Runner(
        resources=resources,
        instance=lifecycle.instance_name(settings.instance_id),
        limits=replay_runner.Limits(
            poll_seconds=settings.replay_poll_seconds,
            lease_seconds=settings.replay_lease_seconds,
            jobs_max=settings.replay_jobs_max,
        ),
        on_commit=notify.wake,
    )


def _make_gate(held: keyring.Keyring | None, reads: Litestar) -> access.Gate:
    return access.Gate(
        find=None if held is None else held.find,
        routes={route.path_format: map(str, route.methods) for route in reads.routes},
    )


def _retention_limits(settings: ApiSettings) -> retention.Limits:
    return retention.Limits(
        retention_hours=settings.idempotency_retention_hours,
        interval_seconds=settings.idempotency_sweep_seconds,
        batch_rows=settings.idempotency_sweep_rows,
        batches_max=settings.idempotency_sweep_batches,
    )


def _payload_limits(settings: ApiSettings) -> payload_retention.Limits:
    return payload_retention.Limits(
        interval_seconds=settings.payload_sweep_seconds,
        batch_rows=settings.payload_sweep_rows,
        batches_max=settings.payload_sweep_batches,
    )


@get("/openapi.json", include_in_schema=False)
async def get_openapi(state: State) -> Response[bytes]:
    return Response(state.openapi, media_type=MediaType.JSON)


def _handlers(
    settings: ApiSettings, *, pool: database_pool.Pool | None
) -> list[ControllerRouterHandler]:
    handlers = [*READS, get_openapi]
    if settings.faults_enabled and pool is not None:
        handlers.extend(faults.routes(pool=pool, limits=front.limits_of(settings)))
    return handlers


def _describe(handlers: list[ControllerRouterHandler]) -> dict[str, Any]:
    """The document, from an application that is never served: a Litestar that knows its document
    also serves it, without the writes.
    """
    config = OpenAPIConfig(
        title="Oncely", version="1", description="Orders and events that take effect once."
    )
    document = openapi.document(
        Litestar(handlers, openapi_config=config, logging_config=None), COMMANDS
    )
    return access.describe(document)


def _make_reads(
    settings: ApiSettings,
    handlers: list[ControllerRouterHandler],
    *,
    state: dict[str, Any],
    lifespan: Any,
) -> Litestar:
    return Litestar(
        handlers,
        lifespan=[lifespan],
        state=State(state),
        exception_handlers={
            problems.Problem: _on_problem,
            HTTPException: _on_http_exception,
            Exception: _on_exception,
        },
        guards=[access.guard],
        before_request=_check_query,
        request_max_body_size=settings.batch_body_bytes_max,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )


def _query_names(document: dict[str, Any]) -> dict[str, frozenset[str]]:
    """Per path: the parameters that its GET documents. What is not documented is refused."""
    return {
        path: frozenset(
            parameter["name"]
            for parameter in item.get("get", {}).get("parameters", [])
            if parameter["in"] == "query"
        )
        for path, item in document["paths"].items()
    }


async def _check_query(request: Request[Any, Any, Any]) -> None:
    if request.method == "GET":
        scope: Any = request.scope
        template: str = scope["path_template"]
        allowed = request.app.state.query_names.get(template, frozenset())
        pages.read_query(scope["query_string"], allowed=allowed)


def _on_problem(_request: Request[Any, Any, Any], error: problems.Problem) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in error.headers()}
    return Response(
        error.body(),
        status_code=error.status,
        media_type=headers.pop("content-type"),
        headers=headers,
    )


# What a parameter is called where its own name is taken in Python.
_PYTHON_NAMES = {
    "version_state": "state",
    "job_state": "state",
    "letter_state": "state",
    "delivery_state": "state",
    "event_type": "type",
}


def _on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    if isinstance(error, ValidationException):
        return _on_problem(request, _from_validation(request, error))
    slug = _HTTP_KINDS.get(error.status_code, "malformed-request")
    allow = ", ".join(sorted(_methods(request))) if slug == "method-not-allowed" else None
    detail = "nothing is here" if slug == "not-found" else str(error.detail)[:300]
    return _on_problem(request, problems.Problem(slug, detail, allow=allow))


def _methods(request: Request[Any, Any, Any]) -> set[str]:
    """The methods that the routes of a path take, for the Allow header."""
    parts = request.url.path.strip("/").split("/")
    found: set[str] = set()
    for route in request.app.routes:
        methods = {str(method) for method in route.methods}
        steps = route.path.strip("/").split("/")
        if steps == parts:
            return methods  # a fixed path comes before every pattern
        if len(steps) == len(parts) and all(
            step == part or step.startswith("{") for step, part in zip(steps, parts, strict=True)
        ):
            found |= methods
    return found


def _on_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return _on_problem(request, fates.fate_of(error, begun=False))


def _from_validation(
    request: Request[Any, Any, Any], error: ValidationException
) -> problems.Problem:
    scope: Any = request.scope
    known = request.app.state.query_names.get(scope.get("path_template", ""), frozenset())
    found: list[problems.Fault] = []
    for part in error.extra if isinstance(error.extra, list) else []:
        detail = msgspec.convert(part, dict[str, Any])
        name = str(detail.get("key", ""))[:100]
        if name not in known:
            name = _PYTHON_NAMES.get(name, name)
        found.append(problems.Fault(parameter=name, detail=str(detail.get("message"))[:300]))
    # Of a parameter that is missing the framework speaks in its own sentence, without a list.
    detail = "a parameter is not what it must be: see errors" if found else str(error.detail)[:300]
    return problems.Problem("invalid-request", detail, errors=found)

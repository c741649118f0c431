"""Puts the service together: resources, Litestar for the reads, the front around it. Nothing is
made at import.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ASGIApp, ControllerRouterHandler
from pydantic import SecretStr

from services.api import (
    access,
    calls,
    coalescer,
    console_files,
    database_pool,
    dead_letter_bulk,
    dead_letters,
    event_exports,
    event_facets,
    events,
    faults,
    fresh,
    front,
    health,
    invariants,
    jobs,
    keyring,
    metrics,
    notifier,
    openapi,
    orders,
    pages,
    problems,
    read_errors,
    retention,
    routing,
    session,
    writes,
)
from services.api.backtests import routes as backtests
from services.api.backtests import runner as backtest_runner
from services.api.data_schemas import catalogue
from services.api.deliveries import acts as deliveries
from services.api.event_types import payload_retention
from services.api.event_types import routes as event_types
from services.api.keys import routes as key_routes
from services.api.live import changes, hub, sockets, upgrades
from services.api.overview import pulse, snapshot
from services.api.overview import routes as overview
from services.api.replays import jobs as replay_jobs
from services.api.replays import routes as replays
from services.api.replays import runner as replay_runner
from services.api.rules import routes as rules
from services.api.rules import schema, shadow, trials
from services.api.settings import ApiSettings
from services.api.targets import routes as targets
from services.api.timeline import routes as timeline
from shared import clock, lifecycle, live

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
    session.get_session,
    upgrades.get_ws,
    overview.get_overview,
    invariants.get_invariants,
    events.get_stats,
    event_facets.get_facets,
    event_exports.export_events,
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


def create_app(settings: ApiSettings) -> ASGIApp:
    """The ASGI application of one process."""
    resources, notify = _make_resources(settings)
    backtesting = _make_backtest_runner(settings, resources)
    replaying = _make_replay_runner(settings, resources, notify)
    watching = hub.Hub(dsn=settings.database_dsn)
    request_metrics = metrics.RequestMetrics()
    beats = pulse.Pulse(pool=resources.pool)
    held = _make_keyring(settings)
    first = (notify, *_make_sweeps(settings, resources), beats, watching)
    last = (backtesting, replaying)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with AsyncExitStack() as cleanup:
            request_metrics.register()
            cleanup.callback(request_metrics.unregister)
            cleanup.push_async_callback(await faults.watch(settings))
            await resources.pool.open(wait=False)
            cleanup.push_async_callback(resources.pool.close, timeout=settings.drain_seconds)
            resources.announcer.start()
            cleanup.push_async_callback(asyncio.to_thread, resources.announcer.close)
            for part in first:
                part.start()
                cleanup.push_async_callback(part.close)
            cleanup.push_async_callback(resources.types.close)
            resources.types.start()
            await resources.types.wait()
            if held is not None:
                held.start()
                cleanup.push_async_callback(held.close)
                await held.wait()
            for part in (*last, resources.coalescer):
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
            "background": [*first, resources.types, *([] if held is None else [held]), *last],
            **_make_views(settings, resources, beats),
            "openapi": openapi.encode(document),
            "query_names": _query_names(document),
        },
        lifespan=lifespan,
    )
    return front.Front(
        inner=reads,
        routes=routing.Routes(COMMANDS),
        read_methods={route.path: set(map(str, route.methods)) for route in reads.routes},
        resources=resources,
        gate=_make_gate(held, reads),
        console=console_files.open_console(settings.console_dir),
        watchers=sockets.Sockets(source=watching, limits=_socket_limits(settings)),
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
    instance = lifecycle.instance_name(settings.instance_id)
    announcer = live.Announcer(
        settings.database_dsn, instance=instance, interval_ms=settings.live_interval_ms
    )

    def on_commit(batch: Sequence[jobs.Job], results: Sequence[jobs.Result]) -> None:
        notify.wake()
        changes.announce_batch(announcer, batch, results)

    resources = calls.Resources(
        settings=settings,
        announcer=announcer,
        coalescer=coalescer.Coalescer(
            dsn=settings.database_dsn, limits=limits, apply=writes.apply, on_commit=on_commit
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
            reader=instance,
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


def _socket_limits(settings: ApiSettings) -> sockets.Limits:
    return sockets.Limits(
        watchers_max=settings.live_watchers_max,
        watchers_per_key_max=settings.live_watchers_per_key_max,
        send_seconds=settings.live_send_seconds,
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
        announcer=resources.announcer,
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


def _make_sweeps(
    settings: ApiSettings, resources: calls.Resources
) -> tuple[retention.Retention, payload_retention.PayloadRetention]:
    return (
        retention.Retention(pool=resources.pool, limits=_retention_limits(settings)),
        payload_retention.PayloadRetention(pool=resources.pool, limits=_payload_limits(settings)),
    )


def _make_views(
    settings: ApiSettings, resources: calls.Resources, beats: pulse.Pulse
) -> dict[str, Any]:
    """What session, overview, invariants and exports keep between requests."""
    started_at = clock.now()
    return {
        "started_at": started_at,
        "exports": event_exports.Exports(),
        "stats": fresh.Fresh(lambda: events.count(resources.pool), seconds=0),
        "looks": invariants.Looks(pool=resources.pool),
        "snapshots": snapshot.Snapshots(
            pool=resources.pool,
            pulse_=beats,
            instance=lifecycle.instance_name(settings.instance_id),
            faults_enabled=settings.faults_enabled,
            started_at=started_at,
        ),
    }


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
            problems.Problem: read_errors.on_problem,
            HTTPException: read_errors.on_http_exception,
            Exception: read_errors.on_exception,
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

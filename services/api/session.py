"""GET /session: who is asking, what he may do, and which api answers."""

import importlib.metadata
from datetime import datetime
from typing import Any, Literal

import msgspec
from litestar import Request, get
from litestar.datastructures import State

from services.api import access
from services.api.settings import ApiSettings
from shared import clock, lifecycle


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """caller: the name of the key; null where nobody is asked who he is."""

    auth_mode: Literal["none", "keys"]
    caller: str | None
    scopes: list[str]
    faults_enabled: bool
    version: str
    instance: str
    started_at: datetime
    now: datetime


@get("/session", tags=["access"], summary="Who I am here, and what I may do")
async def get_session(request: Request[Any, Any, Any], state: State) -> Session:
    """Any key that is in force may ask."""
    settings: ApiSettings = state.resources.settings
    caller = access.caller(request)
    return Session(
        auth_mode=settings.auth_mode,
        caller=caller.name or None,
        scopes=sorted(caller.scopes),
        faults_enabled=settings.faults_enabled,
        version=version(),
        instance=lifecycle.instance_name(settings.instance_id),
        started_at=state.started_at,
        now=clock.now(),
    )


def version() -> str:
    """Of the distribution; an image holds the services without it."""
    try:
        return importlib.metadata.version("oncely")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"

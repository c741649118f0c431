"""Where the webhooks of a rule would go, checked before the rule is saved: addresses by what they
resolve to, targets by name or id. Outside of every transaction, because names take their time.
"""

from typing import Any, cast

from litestar.datastructures import State

from services.api import addresses, database_pool, pages, problems
from services.api.queries import targets as queries
from services.api.settings import ApiSettings
from shared import egress
from shared.rules import actions, port

type Webhook = tuple[str, dict[str, Any]]


async def require(body: dict[str, Any], state: State, settings: ApiSettings) -> None:
    """Raise invalid-request with every webhook of a body that can go nowhere.

    A draft is checked like what counts at once. What is wrong later shows at the delivery.
    """
    webhooks = _webhooks(body, settings)
    wrong = await _wrong_urls(webhooks, settings.webhook_networks)
    wrong += await _wrong_targets(webhooks, state)
    if wrong:
        raise problems.Problem("invalid-request", "nothing was stored: see errors", errors=wrong)


def _webhooks(body: dict[str, Any], settings: ApiSettings) -> list[Webhook]:
    """The parameters of each call_webhook with their pointer, in the spelling of the body."""
    name = "actions" if body.get("action") is None else "action"
    value = body.get(name)
    try:
        actions.read(value, limits=settings.rule_limits)
    except port.Refused:
        return []  # told with all other flaws when the whole is read
    entries = cast("list[dict[str, Any]]", value if isinstance(value, list) else [value])
    places = [
        f"/{name}/{n}" if isinstance(value, list) else f"/{name}" for n in range(len(entries))
    ]
    return [
        (f"{place}/params", entry["params"]) if "params" in entry else (place, entry)
        for place, entry in zip(places, entries, strict=True)
        if entry.get("type") == "call_webhook"
    ]


async def _wrong_urls(webhooks: list[Webhook], networks: egress.Networks) -> list[problems.Fault]:
    given = [(place, params["url"]) for place, params in webhooks if params.get("url") is not None]
    found = await addresses.refusals([url for _, url in given], networks)
    return [
        problems.Fault(pointer=f"{place}/url", detail=why)
        for (place, _), why in zip(given, found, strict=True)
        if why is not None
    ]


async def _wrong_targets(webhooks: list[Webhook], state: State) -> list[problems.Fault]:
    given = [
        (place, str(params["target"]))
        for place, params in webhooks
        if params.get("target") is not None
    ]
    if not given:
        return []
    ids = [found for _, name in given if (found := pages.read_uuid(name)) is not None]
    async with database_pool.connection(state.pool) as conn:
        known = await queries.list_known(conn, named=[name for _, name in given], ids=ids)
    return [
        problems.Fault(
            pointer=f"{place}/target", detail="there is no such target: make it by POST /targets"
        )
        for place, name in given
        if name not in known and name.lower() not in known
    ]

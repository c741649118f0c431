"""How a target changes: one transaction that locks its row, checks If-Match, raises the revision
and writes the audit log; then the dispatchers are told.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response
from litestar.datastructures import State

from services.api import addresses, database_pool, etags, pages, problems, transactions
from services.api.queries import rule_changes as rule_queries
from services.api.queries import targets as queries
from services.api.rules import changes as rule_changes
from services.api.settings import ApiSettings
from services.api.targets import bodies
from shared import database, sealing, webhook_secrets

type Conn = database_pool.Conn
type Author = rule_changes.Author

SECRETS_MAX = 5  # that sign at a time


def read_id(text: str) -> UUID:
    found = pages.read_uuid(text)
    if found is None:
        raise no_target()
    return found


def no_target() -> problems.Problem:
    return problems.Problem("not-found", "there is no such target")


def name_taken(name: str, other: UUID | None) -> problems.Problem:
    return problems.Problem(
        "target-exists",
        f"another target is called {name}",
        errors=[problems.Fault(pointer="/name", detail="choose another name")],
        target_id=None if other is None else str(other),
    )


def sealer(settings: ApiSettings) -> sealing.Sealer:
    """Raises secrets-key-missing: nothing secret is ever stored as it is."""
    keys = settings.secrets_key.get_secret_value()
    if not keys:
        raise problems.Problem(
            "secrets-key-missing",
            f"the operator must set SECRETS_KEY, the same for api and dispatcher: {sealing.HINT}",
        )
    return sealing.Sealer.from_keys(keys)


def seal_headers(settings: ApiSettings, headers: dict[str, str]) -> bytes | None:
    return sealer(settings).seal(msgspec.json.encode(headers)) if headers else None


def seal_secret(settings: ApiSettings, given: str | None) -> tuple[bytes, str | None]:
    """The secret as it is stored, and as it is shown once when it was made here."""
    made = None if given else webhook_secrets.make_secret()
    return sealer(settings).seal((given or made or "").encode()), made


async def require_reachable(url: str, settings: ApiSettings) -> None:
    """Outside of every transaction: names take their time."""
    (refusal,) = await addresses.refusals([url], settings.webhook_networks)
    if refusal is not None:
        fault = problems.Fault(pointer="/url", detail=refusal)
        raise problems.Problem("invalid-request", "nothing was stored: see errors", errors=[fault])


async def transact[Result](state: State, act: Callable[[Conn], Awaitable[Result]]) -> Result:
    """One change, whole or not at all; the dispatchers look again when it is committed."""
    return await transactions.run(state.pool, act, channel=database.DELIVERIES_CHANNEL)


async def lock(conn: Conn, target_id: UUID, by: Author, *, archived: bool = False) -> queries.Held:
    """Lock a target for the rest of the transaction and check what the client knows of it."""
    held = await queries.lock_target(conn, target_id=target_id)
    if held is None:
        raise no_target()
    etags.require_match(by.if_match, revision=held.revision)
    if held.archived_at is not None and not archived:
        raise problems.Problem("target-archived", "the target is archived: make a new one")
    return held


async def add_secret(
    conn: Conn, held: queries.Held, new: bodies.Rotation, sealed: bytes
) -> queries.Secret:
    """Let a new secret sign, and the present one beside it until it expires."""
    others = await queries.count_secrets(
        conn, target_id=held.id, overlap_seconds=new.overlap_seconds
    )
    if others >= SECRETS_MAX:
        raise problems.Problem(
            "too-many-secrets", f"{SECRETS_MAX} secrets sign already", limit=SECRETS_MAX
        )
    await queries.expire_secret(conn, target_id=held.id, overlap_seconds=new.overlap_seconds)
    return await queries.insert_secret(conn, target_id=held.id, sealed=sealed)


async def audit(
    conn: Conn, target_id: UUID, by: Author, *, action: str, detail: dict[str, Any]
) -> None:
    await rule_queries.audit(
        conn, actor=by.actor, action=action, target=f"targets/{target_id}", detail=detail
    )


async def view(conn: Conn, target_id: UUID) -> queries.TargetRow:
    found = await queries.get_target(conn, target_id=target_id)
    if found is None:
        raise no_target()
    return found


def respond[T](
    content: T, *, revision: int, status: int = 200, location: str | None = None
) -> Response[T]:
    """An answer with the target's ETag."""
    headers = {"ETag": etags.make(revision)}
    if location is not None:
        headers["Location"] = location
    return Response(content, status_code=status, headers=headers)

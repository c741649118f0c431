"""The API keys as this api has them in force: one look into a dict by the key's SHA-256.

Its own connection hears of changes and looks at their version every second besides, so a revoked
key is refused within a second, on every api. An api that could not look for a while lets nobody in.
"""

import hashlib
import time
from typing import cast, override
from uuid import UUID

from services.api import access, database_pool, watched
from services.api.queries import keys as queries
from shared import clock, telemetry

KEY_CHARACTERS_MAX = 200
ADMIN_NAME = "ADMIN_API_KEY"

_STATEMENT_SECONDS = 3.0
_TOUCH_SECONDS = 10.0
_SCHEME = b"bearer "
_VALUE_BYTES_MAX = KEY_CHARACTERS_MAX + 20
_log = telemetry.logger(__name__)


class Keyring(watched.Watched):
    """Owns the task that keeps the keys in force."""

    def __init__(self, *, dsn: str, admin_key: str) -> None:
        """admin_key: the key of the settings, which has every scope; empty: there is none."""
        super().__init__(
            name="keys",
            dsn=dsn,
            statement_seconds=_STATEMENT_SECONDS,
            listen=queries.listen,
            read_version=queries.read_version,
        )
        self._admin: dict[bytes, access.Caller] = {}
        if admin_key:
            self._admin[digest(admin_key.encode())] = access.Caller(
                name=ADMIN_NAME, scopes=access.EVERY_SCOPE
            )
        self._callers: dict[bytes, access.Caller] | None = None
        self._touched_at = 0.0
        self._used: set[UUID] = set()

    def find(self, authorization: bytes) -> access.Caller:
        """Whose key it is, or the Problem that refuses it.

        The look-up compares hashes, which nobody can steer: its time tells nothing about a key.
        """
        if self._callers is None or not self.fresh:
            raise database_pool.away()
        if len(authorization) > _VALUE_BYTES_MAX or authorization[:7].lower() != _SCHEME:
            raise access.refused()
        caller = self._callers.get(digest(authorization[7:].strip(b" ")))
        if caller is None or (caller.expires_at is not None and caller.expires_at <= clock.now()):
            raise access.refused()
        if caller.key_id is not None:
            self._used.add(caller.key_id)
        return caller

    @override
    async def refresh(self, conn: watched.Conn) -> None:
        with self._bounded(conn):
            rows = await queries.list_live(conn)
        self._callers = {row.key_hash: _caller(row) for row in rows} | self._admin
        if not self._callers:
            _log.warning(
                "nobody can call: there is no API key; set ADMIN_API_KEY, then make keys "
                "with it by `oncely keys create` or POST /keys"
            )

    @override
    async def after_look(self, conn: watched.Conn, *, version: int, changed: bool) -> None:
        now = time.monotonic()
        if self._used and now - self._touched_at > _TOUCH_SECONDS:
            # Emptied first: what is used meanwhile is for the next time.
            used, self._used = self._used, set()
            with self._bounded(conn):
                await queries.touch(conn, key_ids=list(used))
            self._touched_at = now


def digest(key: bytes) -> bytes:
    """What stands for a key at rest. A key is 32 random bytes (ADMIN_API_KEY has 32 characters at
    least), so a fast hash is right: a slow one is for what can be guessed.
    """
    return hashlib.sha256(key).digest()


def _caller(row: queries.LiveRow) -> access.Caller:
    scopes = frozenset(cast("list[access.Scope]", row.scopes))
    return access.Caller(
        name=row.name,
        scopes=access.EVERY_SCOPE if "admin" in scopes else scopes,
        key_id=row.id,
        expires_at=row.expires_at,
    )

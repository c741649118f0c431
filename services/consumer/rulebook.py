"""The live rules, compiled once per version: read before a batch is applied when they changed.

Owned by the database thread, which swaps whole books; the Kafka thread plans with the book that it
finds and may be one behind: then the database thread evaluates the batch again.
"""

import time
from collections.abc import Collection
from typing import cast

import msgspec

from services.consumer import deliveries, evaluation
from services.consumer.queries import batch
from services.consumer.queries import rules as queries
from shared import live, rules, telemetry
from shared.rules import actions, port

OVERRUN_SECONDS = 60.0
NAMED_MAX = 10_000

_log = telemetry.logger(__name__)


class Rulebook:
    """The present book, and which versions went over their budget how often."""

    def __init__(
        self,
        *,
        limits: port.Limits,
        overruns_max: int,
        consumer: str,
        announcer: live.Announcer,
    ) -> None:
        self._overruns = evaluation.Overruns(count_max=overruns_max)
        self.book = evaluation.EMPTY
        self._limits = limits
        self._consumer = consumer
        self._announcer = announcer
        self._compiled: dict[int, evaluation.Entry] = {}
        self.named: dict[int, evaluation.Entry] = {}
        self._forget_at = 0.0
        self._gauge = telemetry.gauge("oncely.rules.live")

    def is_current(self, conn: batch.Connection) -> bool:
        """Whether the book is what is committed now; asked before every transaction."""
        return queries.read_version(conn) == self.book.version

    def refresh(self, conn: batch.Connection) -> None:
        """Read what is live and compile what is new. The version is read first: what is committed
        after it can only make the book newer than it says, and the next look mends that.
        """
        version = queries.read_version(conn)
        rows = queries.read_live(conn)
        unknown = [row.id for row in rows if row.id not in self._compiled]
        texts = queries.read_texts(conn, unknown) if unknown else {}
        compiled: dict[int, evaluation.Entry] = {}
        for row in rows:
            known = self._compiled.get(row.id)
            if known is not None:
                compiled[row.id] = msgspec.structs.replace(known, shadow=row.shadow)
            elif row.id in texts:
                compiled[row.id] = self._compile(row, *texts[row.id])
        suspended = queries.read_suspended(conn)
        if self.book.suspended - suspended:
            self._overruns.forget()  # somebody resumed: it starts from nothing
        self._compiled = compiled
        self.book = evaluation.Book(
            version=version,
            entries=compiled.values(),
            timeouts_ms=queries.read_timeouts_ms(conn),
            suspended=suspended,
            overruns=self._overruns,
        )
        self._gauge.set(self.book.count)
        _log.info("rules in force", version=version, rules=self.book.count, compiled=len(texts))

    def name(self, conn: batch.Connection, version_ids: Collection[int]) -> None:
        """Have these versions in `named`, whatever their state: they act as if published."""
        unknown = set(version_ids) - self.named.keys()
        if not unknown:
            return
        if len(self.named) + len(unknown) > NAMED_MAX:
            self.named.clear()
            unknown = set(version_ids)
        rows = queries.read_versions(conn, sorted(unknown))
        texts = queries.read_texts(conn, [row.id for row in rows])
        for row in rows:
            self.named[row.id] = self._compile(row, *texts[row.id])

    def look(self, conn: batch.Connection) -> None:
        """Now and then: what other consumers suspended, and a sign of life with the version."""
        self.suspend_spent(conn)
        if not self.is_current(conn) or queries.read_suspended(conn) != self.book.suspended:
            self.refresh(conn)
        queries.report(
            conn, reader=self._consumer, version=self.book.version, rules=self.book.count
        )

    def suspend_spent(self, conn: batch.Connection) -> None:
        """Tell everybody which versions went over their budget too often within a minute."""
        for version_id in self._overruns.spent() - self.book.suspended:
            entry = self._compiled.get(version_id)
            if entry is None:
                continue
            reason = "went over its operation budget too often within a minute"
            first = queries.suspend(
                conn, version_id=version_id, reason=reason, consumer=self._consumer
            )
            if first:
                self._announcer.announce("rule", "suspended", [(entry.rule_id, None)])
            _log.warning("rule suspended", rule=str(entry.rule_id), version=entry.version)
        if time.monotonic() >= self._forget_at:
            self._overruns.forget()
            self._forget_at = time.monotonic() + OVERRUN_SECONDS

    def _compile(
        self, row: queries.LiveRow, condition: str, stored_actions: str
    ) -> evaluation.Entry:
        """What cannot be compiled (another engine version, lower limits) fails for each event and
        is told so; it does not stop the others.
        """
        entry = evaluation.Entry(
            version_id=row.id,
            rule_id=row.rule_id,
            version=row.version,
            shadow=row.shadow,
            event_type=row.event_type,
            condition=None,
            actions=(),
        )
        try:
            compiled = rules.compile_condition(
                msgspec.json.decode(condition),
                engine=cast("port.EngineName", row.engine),
                limits=self._limits,
            )
            kept = msgspec.json.decode(stored_actions, type=tuple[actions.Action, ...])
        except (port.Refused, msgspec.DecodeError) as error:
            _log.error("rule cannot be compiled", rule=str(row.rule_id), version=row.version)
            return msgspec.structs.replace(entry, broken=str(error)[:500])
        return msgspec.structs.replace(
            entry, condition=compiled, actions=kept, deliveries=deliveries.of_entry(kept)
        )

"""The statements of the hot path walk their indexes, with statistics of an empty table."""

import itertools
import re
from collections import Counter
from typing import Any

from services.consumer.queries import dispatch, recording, upkeep
from shared import database as shared_database
from tests.dispatcher import ledger
from tests.fixtures import stack

CLAIM = {
    "names": ["a"],
    "slots": [1],
    "wanted": [1],
    "tokens": [None],
    "me": "m",
    "timeout_seconds": 1.0,
    "margin_seconds": 1.0,
    "with_aggregate": False,
}
READY: dict[str, Any] = {"in_flight_max": 10, "without": [], "limit": 10}
JUDGE = {
    "names": ["a"],
    "answered": [True],
    "failures": [0],
    "pause_seconds": [0.0],
    "failures_max": 5,
    "open_seconds": 1.0,
}
EVENTS: dict[str, Any] = {"ids": []}


# Beside its bound: what is read from its start on purpose, namely the first step of the walk over
# destinations, and what is in flight.
STATEMENTS: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    (dispatch.LOCK_READY, READY, {"deliveries_due": 1}),
    (dispatch.OLDEST_READY, READY, {"deliveries_due": 1}),
    (dispatch.CLAIM, CLAIM, {}),
    (recording.RECORD, ledger.record_columns(), {}),
    (recording.LOCK_EVENTS, EVENTS, {}),
    (recording.FINISH_EVENTS, EVENTS, {}),
    (recording.JUDGE_DESTINATIONS, JUDGE, {}),
    (upkeep.TAKE_EXPIRED, {"limit": 10}, {"deliveries_sending": 1}),
    (upkeep.TAKE_REQUESTS, {"limit": 10}, {}),
    (upkeep.REDRIVE, EVENTS, {}),
    (upkeep.REOPEN_EVENTS, EVENTS, {}),
]


def test_each_statement_probes_its_indexes_and_reads_no_table(database: stack.Database) -> None:
    with shared_database.connect(
        database.url("oncely_dispatcher"), application_name="test", autocommit=True
    ) as conn:
        conn.execute(dispatch.PIN_PLANS)
        for statement, bound, walked in STATEMENTS:
            explained = b"explain (costs off) " + statement.encode()
            lines = [row[0] for row in conn.execute(explained, bound).fetchall()]

            assert not [line for line in lines if "Seq Scan" in line or "Bitmap" in line]
            assert _read_from_the_start(lines) == walked, "\n".join(lines)


def _read_from_the_start(plan: list[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line, following in itertools.pairwise([*plan, ""]):
        match = re.search(r"Index (?:Only )?Scan (?:Backward )?using (\w+)", line)
        if match and "Index Cond" not in following:
            found[match[1]] += 1
    return found

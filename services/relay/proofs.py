"""Where the broker knows this producer. Only there does it refuse what comes after a refused batch.

Of a producer that it has never seen on a partition, or has forgotten, it takes any batch for the
first one. So an unproven partition gets one row, and the next ones when that is acknowledged.
"""

import time
from collections import deque
from collections.abc import Mapping
from functools import lru_cache

from shared import kafka

# Far below a broker's producer.id.expiration.ms, after which it forgets who wrote: a day, unless
# somebody changed it.
PROOF_SECONDS = 3_600.0
_RENEW_SECONDS = PROOF_SECONDS / 2
_KEYS_KEPT = 4_096

type Place = tuple[str, int]

_partition_of = lru_cache(maxsize=_KEYS_KEPT)(kafka.partition_of)


class Proofs:
    """The partitions that took a record of one producer. `settle` belongs to the thread of the
    reports, everything else to the loop, so nothing opens in the middle of a pass.
    """

    def __init__(self) -> None:
        # Until when a topic's partitions are all proven and none asks for a renewal: the hot path.
        self.fresh_until: dict[str, float] = {}
        self._proven_at: dict[Place, float] = {}
        self._asked: set[Place] = set()
        self._news: deque[tuple[Place, Place, float]] = deque()

    @property
    def news(self) -> bool:
        """Whether a place was proven since the last `take_news`."""
        return bool(self._news)

    def take_news(self, counts: Mapping[str, int]) -> None:
        """Before a pass: what was acknowledged counts from now on."""
        topics: set[str] = set()
        while self._news:
            asked, proven, at = self._news.popleft()
            self._asked.discard(asked)
            self._proven_at[proven] = at
            topics.add(proven[0])
        for topic in topics:
            places = [(topic, partition) for partition in range(counts[topic])]
            if all(place in self._proven_at for place in places):
                oldest = min(self._proven_at[place] for place in places)
                self.fresh_until[topic] = oldest + _RENEW_SECONDS

    def to_prove(self, topic: str, key: str, *, partitions: int, now: float) -> Place | None:
        """The place that this row would prove, or None when it goes out like any other."""
        place = topic, _partition_of(key, partitions)
        age = now - self._proven_at.get(place, float("-inf"))
        if age < _RENEW_SECONDS or (age < PROOF_SECONDS and place in self._asked):
            return None
        return place

    def waits(self, place: Place) -> bool:
        """Whether a row that would prove this place is under way."""
        return place in self._asked

    def ask(self, place: Place) -> None:
        """A row that proves this place was handed over."""
        self._asked.add(place)

    def settle(self, asked: Place, proven: Place) -> None:
        """It was acknowledged, and this is where."""
        self._news.append((asked, proven, time.monotonic()))

    def give_up(self) -> None:
        """Nothing is under way any more: what was not acknowledged proves nothing."""
        self._asked.clear()

"""Which partitions are ours, since which assignment, and how far each of them is.

Written by the Kafka thread; the database thread reads `owned` and asks `is_current`. Every dict and
set here is replaced or assigned in one step, so that a reader sees the old or the new one.
"""

from collections.abc import Iterable

type Partition = tuple[str, int]


class Partitions:
    """An epoch per partition: what was taken under an older one is nobody's any more."""

    def __init__(self) -> None:
        self.owned: frozenset[Partition] = frozenset()
        self.committed: dict[Partition, int] = {}
        self._epochs: dict[Partition, int] = {}
        self._applied: dict[Partition, int] = {}

    def give(self, given: Iterable[Partition]) -> None:
        """Partitions were assigned to us."""
        found = frozenset(given)
        for partition in found:
            self._epochs[partition] = self._epochs.get(partition, 0) + 1
        self.owned |= found

    def take_away(self, taken: Iterable[Partition]) -> None:
        """Partitions are no longer ours: late completions for them are ignored."""
        found = frozenset(taken)
        for partition in found:
            self._epochs[partition] = self._epochs.get(partition, 0) + 1
            self._applied.pop(partition, None)
            self.committed.pop(partition, None)
        self.owned -= found

    def epoch(self, partition: Partition) -> int:
        return self._epochs.get(partition, 0)

    def is_current(self, partition: Partition, epoch: int) -> bool:
        return partition in self.owned and self._epochs.get(partition) == epoch

    def applied(self, partition: Partition, next_offset: int) -> None:
        """The database has committed everything below next_offset."""
        self._applied[partition] = next_offset

    def to_commit(self, among: Iterable[Partition] | None = None) -> list[tuple[str, int, int]]:
        """Topic, partition, next offset, where the database is ahead of Kafka."""
        wanted = self.owned if among is None else self.owned & frozenset(among)
        return [
            (*partition, self._applied[partition])
            for partition in sorted(wanted)
            if partition in self._applied
            and self._applied[partition] != self.committed.get(partition)
        ]

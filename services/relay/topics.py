"""Which topics are there, how large a record may be, and which topics must wait.

A topic that is not there, or that we may not write, holds its own rows back and nobody else's. The
broker is asked from a thread of its own: an answer that takes ten seconds must not cost a lease.
"""

import threading
import time

from services.relay import publisher, settings
from shared import errors, kafka, telemetry

_LOOK_SECONDS = 0.5
_ANSWER_SECONDS = 1.0
_START_PAUSE_SECONDS = 1.0

_log = telemetry.logger(__name__)


class Topics:
    """Limits and partition counts, refreshed; and the topics that are on hold, with the reason."""

    def __init__(self, loaded: settings.RelaySettings, target: publisher.Publisher) -> None:
        self._loaded = loaded
        self._publisher = target
        self.counts: dict[str, int] = {}
        self.held: dict[str, str] = {}
        self.failed: BaseException | None = None
        self._known = set(loaded.all_topics)
        self._held_since: dict[str, float] = {}
        self._refreshed_at = 0.0
        self._asked_at = time.monotonic()
        self._asked = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._asked.set()

    def ask(self) -> None:
        """Want what the broker has from now on."""
        self._asked_at = time.monotonic()
        self._asked.set()

    @property
    def fresh(self) -> bool:
        """Whether the last question was answered."""
        return self._refreshed_at >= self._asked_at

    def hold(self, topic: str, reason: str) -> None:
        """Let a topic's rows wait."""
        if topic not in self.held:
            self._held_since[topic] = time.monotonic()
            _log.warning("topic on hold", topic=topic, reason=reason)
        self.held[topic] = reason

    def given_up(self, topic: str) -> bool:
        """Whether a topic has been missing for longer than its grace."""
        since = self._held_since.get(topic)
        return (
            since is not None
            and topic not in self.counts
            and time.monotonic() - since > self._loaded.relay_topic_grace_seconds
        )

    def admit(self, topic: str) -> bool:
        """Whether a row may be sent to this topic now; an unknown one is looked up."""
        if topic in self.held:
            return False
        if topic in self.counts:
            return True
        self._known.add(topic)
        self.hold(topic, "the topic is not there")
        self._asked.set()
        return False

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._asked.wait(_LOOK_SECONDS)
                self._look()
        except errors.ConfigurationError as error:
            self.failed = error

    def _look(self) -> None:
        """Ask when somebody wants it, when it is time, while a topic is on hold or the broker is
        away.
        """
        if self._publisher.broker_away and not self._publisher.broker_answers(_ANSWER_SECONDS):
            return
        age = time.monotonic() - self._refreshed_at
        due = age > self._loaded.relay_topic_refresh_seconds or bool(self.held)
        if not (self._asked.is_set() or due):
            return
        self._asked.clear()
        try:
            self._refresh()
        except kafka.KafkaException as error:
            _log.warning("topics not read", code=error.args[0].name())

    def _refresh(self) -> None:
        began_at = time.monotonic()
        servers = self._loaded.kafka_bootstrap_servers
        counts = kafka.partition_counts(servers, sorted(self._known))
        self._require_same(counts)
        self.counts.update(counts)
        self._publisher.limits.update(kafka.message_bytes_max(servers, sorted(counts)))
        for topic in [topic for topic in self.held if topic in counts]:
            del self.held[topic]
            self._held_since.pop(topic, None)
        self._refreshed_at = began_at

    def _require_same(self, counts: dict[str, int]) -> None:
        expected = self._loaded.topic_partitions
        for topic, count in counts.items():
            before = self.counts.get(topic, expected or count)
            if count != before:
                message = (
                    f"{topic} has {count} partitions, not {before}: changing the count moves keys "
                    "between partitions, and with them their order. Make a new topic instead."
                )
                raise errors.ConfigurationError(message)


def wait_for_topics(loaded: settings.RelaySettings) -> None:
    """Wait until every topic is there; raises ConfigurationError after START_SECONDS."""
    names = loaded.all_topics
    deadline = time.monotonic() + loaded.start_seconds
    while True:
        try:
            missing = sorted(
                set(names) - set(kafka.partition_counts(loaded.kafka_bootstrap_servers, names))
            )
        except kafka.KafkaException as error:
            missing = [f"broker: {error.args[0].str()}"]
        if not missing:
            return
        if time.monotonic() > deadline:
            message = (
                f"not there after {loaded.start_seconds:g} s: {', '.join(missing)}. "
                "Run `python -m shared.migrations up`."
            )
            raise errors.ConfigurationError(message)
        _log.info("waiting for topics", missing=missing)
        time.sleep(_START_PAUSE_SECONDS)

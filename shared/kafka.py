"""Every client option that we set, with its reason; topics; and the client's types for everybody
else.
"""

import struct
import time
from collections.abc import Callable
from concurrent.futures import Future
from operator import methodcaller
from typing import Any, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewTopic

from shared import errors, events

__all__ = [
    "AdminClient",
    "Consumer",
    "KafkaError",
    "KafkaException",
    "Message",
    "Producer",
    "TopicPartition",
    "consumer_options",
    "create_topics",
    "headers_of",
    "message_bytes_max",
    "partition_counts",
    "partition_of",
    "producer_options",
]

MESSAGE_BYTES_MAX = (
    1_048_576  # the broker's default max.message.bytes is 1048588; headers and framing need room
)
_ADMIN_SECONDS = 10.0
_MURMUR_SEED = 0x9747B28C
_MURMUR_FACTOR = 0x5BD1E995
_UINT32_MAX = 0xFFFFFFFF
_INT32_MAX = 0x7FFFFFFF
_LOG_NOTICE = 5  # syslog's number, as the client counts


# Not `message.headers()`: of a name that is no text the client gives a broken list and leaves its
# error behind, to be raised by whatever comes next. Called from C, both are looked at.
_read_headers: Callable[[Message], events.Headers | None] = methodcaller("headers")


def headers_of(message: Message) -> events.Headers:
    """The headers of a record that anybody may have written; none when a name is no text."""
    try:
        return _read_headers(message) or []
    except (SystemError, UnicodeDecodeError):
        return []


def producer_options(bootstrap_servers: str, *, client_id: str) -> dict[str, Any]:
    """Options of the relay's producer.

    Order per key through a refused record needs idempotence *and* the gapless guarantee: the
    producer then turns fatal at the first refused batch, and nothing later of the key is written
    (performance trap T4). That holds where the broker has acknowledged a record of this producer:
    see services/relay/proofs.py.
    """
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": client_id,
        "acks": "all",  # an acknowledgement means: on every in-sync replica
        "enable.idempotence": True,  # a retry inside the client is not a second record
        "enable.gapless.guarantee": True,  # see above
        # a local timeout says nothing about the record; the relay has its own clock
        "message.timeout.ms": 0,
        "max.in.flight": 5,  # the most that idempotence allows
        # Nothing waits for company: under load a batch fills while the one before it is under way.
        "linger.ms": 0,
        "batch.size": 524_288,  # a batch above the topic's max.message.bytes is refused as a whole
        "compression.type": "lz4",
        # bounded: the relay waits instead of the process growing
        "queue.buffering.max.messages": 20_000,
        "queue.buffering.max.kbytes": 131_072,
        # the Java client's choice, so that other tools agree on partitions
        "partitioner": "murmur2_random",
        "message.max.bytes": MESSAGE_BYTES_MAX,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,  # a broker that is back is found within a second
        "topic.metadata.refresh.interval.ms": 30_000,
        "allow.auto.create.topics": False,
        "statistics.interval.ms": 0,
    }


def partition_of(key: str, partitions: int) -> int:
    """Where the producer puts a key: murmur2 as the Java client has it. The client chooses by
    itself; this says what it will choose.
    """
    data = key.encode()
    mixed = _MURMUR_SEED ^ len(data)
    whole = len(data) & ~3
    for (read,) in struct.iter_unpack("<I", data[:whole]):
        word = read * _MURMUR_FACTOR & _UINT32_MAX
        word = (word ^ word >> 24) * _MURMUR_FACTOR & _UINT32_MAX
        mixed = mixed * _MURMUR_FACTOR & _UINT32_MAX ^ word
    if rest := data[whole:]:
        mixed = (mixed ^ int.from_bytes(rest, "little")) * _MURMUR_FACTOR & _UINT32_MAX
    mixed = (mixed ^ mixed >> 13) * _MURMUR_FACTOR & _UINT32_MAX
    return ((mixed ^ mixed >> 15) & _INT32_MAX) % partitions


def consumer_options(
    bootstrap_servers: str,
    *,
    client_id: str,
    group_id: str,
    group_instance_id: str = "",
    group_protocol: str = "classic",
    session_timeout_ms: int = 10_000,
    max_poll_interval_ms: int = 60_000,
) -> dict[str, Any]:
    """Options of the consumer. Offsets are committed by hand, after the database's commit."""
    options: dict[str, Any] = {
        "bootstrap.servers": bootstrap_servers,
        "client.id": client_id,
        "group.id": group_id,
        "group.protocol": group_protocol,
        "enable.auto.commit": False,  # the offset follows the database's commit, never the clock
        "enable.auto.offset.store": False,  # prefetched records are not read records
        # a group without an offset starts at the beginning: dedupe makes it safe
        "auto.offset.reset": "earliest",
        "queued.min.messages": 20_000,
        "queued.max.messages.kbytes": 32_768,  # bounds the prefetch in memory
        "fetch.wait.max.ms": 20,  # the latency floor of an idle topic
        "max.poll.interval.ms": max_poll_interval_ms,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "allow.auto.create.topics": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": False,
        "statistics.interval.ms": 0,
    }
    if group_instance_id:
        options["group.instance.id"] = (
            group_instance_id  # static membership: a restart is not a rebalance
        )
    if group_protocol == "classic":
        # KIP-848 groups refuse these three: the broker decides.
        options["session.timeout.ms"] = session_timeout_ms
        options["heartbeat.interval.ms"] = max(session_timeout_ms // 3, 100)
        options["partition.assignment.strategy"] = "cooperative-sticky"
    return options


def _admin(bootstrap_servers: str) -> AdminClient:
    """A client for one question. Its farewell is a line at level info (BGQUEUE) on standard error,
    which says that answers nobody waits for were thrown away: warnings and errors are enough.
    """
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": _LOG_NOTICE})


def partition_counts(bootstrap_servers: str, names: list[str]) -> dict[str, int]:
    """Partitions per existing topic of `names`; a topic that is not there is left out.

    Raises KafkaException when no broker answers within 10 s.
    """
    admin = _admin(bootstrap_servers)
    topics = admin.list_topics(timeout=_ADMIN_SECONDS).topics
    return {
        name: len(topics[name].partitions)
        for name in names
        if name in topics and topics[name].error is None
    }


def create_topics(
    bootstrap_servers: str, names: list[str], *, partitions: int, replication: int
) -> None:
    """Create the missing topics and check the others.

    Raises ConfigurationError when a topic exists with another partition count: changing it moves
    keys between partitions, and with them their order.
    """
    existing = partition_counts(bootstrap_servers, names)
    wrong = [
        f"{name} has {count} partitions, not {partitions}"
        for name, count in existing.items()
        if count != partitions
    ]
    if wrong:
        message = "; ".join(wrong) + ". Set TOPIC_PARTITIONS to what is there, or make new topics."
        raise errors.ConfigurationError(message)
    missing = [
        NewTopic(name, num_partitions=partitions, replication_factor=replication)
        for name in names
        if name not in existing
    ]
    if not missing:
        return
    admin = _admin(bootstrap_servers)
    # The futures carry an error or nothing; the client's stub leaves that open.
    futures = cast(
        "dict[str, Future[None]]",
        admin.create_topics(missing, operation_timeout=_ADMIN_SECONDS),  # pyright: ignore[reportUnknownMemberType]
    )
    for future in futures.values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    _wait_for_topics(bootstrap_servers, names)


def message_bytes_max(bootstrap_servers: str, names: list[str]) -> dict[str, int]:
    """Each topic's max.message.bytes as the broker has it; a topic that is not there is left out.

    Raises KafkaException when no broker answers within 10 s.
    """
    admin = _admin(bootstrap_servers)
    # The client's stub leaves the kinds of resource and the futures' content open.
    resources = [ConfigResource(cast("Any", ConfigResource).Type.TOPIC, name) for name in names]
    answers = cast(
        "dict[ConfigResource, Future[dict[str, ConfigEntry]]]",
        admin.describe_configs(resources, request_timeout=_ADMIN_SECONDS),  # pyright: ignore[reportUnknownMemberType]
    )
    limits: dict[str, int] = {}
    for resource, future in answers.items():
        try:
            limits[cast("Any", resource).name] = int(
                future.result()["max.message.bytes"].value or 0
            )
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    return limits


def _wait_for_topics(bootstrap_servers: str, names: list[str]) -> None:
    """A created topic is not in every broker's metadata at once."""
    deadline = time.monotonic() + _ADMIN_SECONDS
    while len(partition_counts(bootstrap_servers, names)) < len(names):
        if time.monotonic() > deadline:
            message = (
                f"topics {names} were created but are not visible after {_ADMIN_SECONDS:.0f} s"
            )
            raise errors.OncelyError(message)
        time.sleep(0.05)

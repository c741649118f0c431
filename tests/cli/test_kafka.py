from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from cli.stack import kafka, supervisor
from shared import kafka as clients


@pytest.fixture
def cluster(folder: Path) -> Generator[kafka.KafkaCluster]:
    made = kafka.KafkaCluster(folder / "kafka")
    made.start()
    yield made
    made.purge()


def produce(servers: str, topic: str, value: bytes) -> None:
    failures: list[str] = []
    producer = Producer({"bootstrap.servers": servers, "acks": "all"})
    producer.produce(
        topic,
        value,
        on_delivery=lambda error, _: failures.append(str(error)) if error is not None else None,
    )
    assert producer.flush(20) == 0
    assert failures == []


def first_value(servers: str, topic: str) -> bytes | None:
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    try:
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        return message.value()
    finally:
        consumer.close()


def test_killed_broker_returns_on_its_port_with_its_data(
    cluster: kafka.KafkaCluster, running_on: Callable[[], list[str]]
) -> None:
    servers = cluster.bootstrap_servers
    clients.create_topics(servers, ["kept"], partitions=1, replication=1)
    produce(servers, "kept", b"once")

    cluster.brokers[0].kill()
    assert running_on() == []
    cluster.brokers[0].start()
    cluster.brokers[0].wait_ready()

    assert cluster.bootstrap_servers == servers
    assert first_value(servers, "kept") == b"once"
    cluster.stop()
    assert running_on() == []


def test_data_of_one_broker_is_not_used_for_three(folder: Path) -> None:
    kafka.KafkaCluster(folder / "kafka", brokers=1)

    with pytest.raises(supervisor.StackError, match=r"holds 1 broker\(s\), not 3"):
        kafka.KafkaCluster(folder / "kafka", brokers=3)

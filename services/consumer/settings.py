"""What the consumer can be told by its environment; every bound of a loop is here."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from shared.rules import limits

_WAIT_SECONDS_MAX = 86_400


class ConsumerSettings(limits.RuleSettings):
    """Each field is an environment variable of the same name in upper case."""

    health_host: str = Field(default="127.0.0.1", description="Address of the probes.")
    health_port: int = Field(
        default=3002, ge=0, le=65535, description="Port of health and metrics; 0 takes any."
    )
    consumer_group: str = Field(
        default="oncely-consumer", min_length=1, max_length=200, description="Kafka consumer group."
    )
    consumer_topics: str = Field(
        default="",
        max_length=4000,
        description=(
            "Topics that this consumer reads, comma-separated and without the prefix; empty: all. "
            "A topic that no consumer of the group reads is not processed."
        ),
    )
    group_protocol: Literal["classic", "consumer"] = Field(
        default="classic", description="consumer: KIP-848, where the broker assigns."
    )
    group_instance_id: str = Field(
        default="", max_length=200, description="Static membership: a restart is not a rebalance."
    )
    session_timeout_ms: int = Field(
        default=10_000, ge=1000, le=300_000, description="Silence after which partitions move on."
    )
    max_poll_interval_ms: int = Field(
        default=60_000, ge=1000, le=3_600_000, description="Longest time between two polls."
    )
    batch_size_max: int = Field(
        default=500, ge=1, le=5000, description="Records per transaction, at most."
    )
    batch_linger_ms: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="How long a batch is gathered while another one is being written.",
    )
    queue_batches_max: int = Field(
        default=2, ge=1, le=16, description="Batches between Kafka and the database."
    )
    pause_after_seconds: float = Field(
        default=0.5,
        gt=0,
        le=30,
        description="A full queue pauses the partitions after this; polling goes on.",
    )
    revoke_drain_seconds: float = Field(
        default=10.0, gt=0, le=300, description="How long a rebalance waits for running work."
    )
    retry_schedule_seconds: tuple[float, ...] = Field(
        default=(1.0, 5.0, 30.0),
        min_length=1,
        max_length=20,
        description="Waits before the first retries, a day at most; then the last one doubles.",
    )
    retry_wait_seconds_max: float = Field(
        default=3600.0, gt=0, le=86_400, description="Longest wait before a retry."
    )
    waiting_poll_seconds: float = Field(
        default=1.0, gt=0, le=60, description="Looks for due retries and requests this often."
    )
    requests_per_turn_max: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Retries and requests between two batches.",
    )
    reconnect_seconds_max: float = Field(
        default=2.0, gt=0, le=60, description="Longest pause between attempts to reach Postgres."
    )
    conflict_wait_ms_max: int = Field(
        default=200, ge=1, le=10_000, description="Longest pause before a batch is repeated."
    )
    processing_timeout_ms: int = Field(
        default=60_000,
        ge=1,
        le=3_600_000,
        description="Longest time that the rules may take for one event; a type may have less.",
    )
    plan_seconds_max: float = Field(
        default=1.0,
        gt=0,
        le=30,
        description="A batch whose rules take longer is cut short; its rest comes next.",
    )
    rule_rows_per_batch_max: int = Field(
        default=20_000,
        ge=1,
        le=1_000_000,
        description="Rows of rule history per transaction; a batch that makes more is cut short.",
    )
    rule_overruns_max: int = Field(
        default=10,
        ge=1,
        le=100_000,
        description="Times that a rule may go over its budget before it is suspended.",
    )
    rule_logs_per_batch_max: int = Field(
        default=1000, ge=0, le=100_000, description="Log lines of rules per transaction."
    )
    stall_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="A backlog that rests this long is not ready."
    )
    silence_seconds_max: float = Field(
        default=60.0, gt=0, le=3600, description="A loop that is silent this long is not alive."
    )
    startup_seconds: float = Field(
        default=30.0, gt=0, le=600, description="How long to wait for the database at start."
    )

    @field_validator("retry_schedule_seconds")
    @classmethod
    def _waits_are_possible(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(0 <= wait <= _WAIT_SECONDS_MAX for wait in value):
            message = f"each wait is 0 to {_WAIT_SECONDS_MAX} seconds"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _has_a_broker(self) -> Self:
        if not self.kafka_bootstrap_servers:
            message = "KAFKA_BOOTSTRAP_SERVERS: the consumer needs a broker"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _reads_topics_that_exist(self) -> Self:
        unknown = sorted(set(self.topics) - set(self.all_topics))
        if unknown:
            message = (
                f"CONSUMER_TOPICS: {', '.join(unknown)} is none of {', '.join(self.all_topics)}: "
                "name what comes after the prefix, and name it in EXTRA_TOPICS as well"
            )
            raise ValueError(message)
        return self

    @property
    def topics(self) -> list[str]:
        if not self.consumer_topics:
            return self.all_topics
        names = dict.fromkeys(self.consumer_topics.split(","))
        return [f"{self.topic_prefix}{name.strip()}" for name in names]

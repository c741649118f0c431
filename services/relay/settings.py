"""Every number of the relay, each an environment variable of the same name in upper case."""

from typing import Self

from pydantic import Field, model_validator

from shared import settings


class RelaySettings(settings.Settings):
    """What the relay needs beside the common settings."""

    health_host: str = Field(default="127.0.0.1", description="Where the probes listen.")
    health_port: int = Field(default=3001, ge=0, le=65535, description="0 takes any free port.")
    topic_partitions: int = Field(
        default=0, ge=0, le=1000, description="Refuse topics with another count; 0 takes any."
    )
    start_seconds: float = Field(
        default=60.0, gt=0, le=600, description="How long to wait for Postgres and the topics."
    )
    relay_poll_interval_ms: float = Field(
        default=5.0, ge=1, le=10_000, description="Pause between reads while rows keep coming."
    )
    relay_poll_interval_ms_max: float = Field(
        default=250.0, ge=1, le=60_000, description="Pause between reads when nothing comes."
    )
    relay_page_rows_max: int = Field(default=1_000, ge=1, le=10_000, description="Rows per read.")
    relay_page_bytes_max: int = Field(
        default=8_388_608,
        ge=65_536,
        description="Payload bytes per read, steered by the last page.",
    )
    relay_pass_seconds_max: float = Field(
        default=0.5, gt=0, le=10, description="Age at which a snapshot of the outbox is let go."
    )
    relay_in_flight_max: int = Field(
        default=5_000,
        ge=1,
        le=20_000,
        description="Rows handed to the producer and not yet marked.",
    )
    relay_mark_rows_max: int = Field(
        default=1_000, ge=1, le=10_000, description="Acknowledgements per mark."
    )
    relay_mark_interval_ms: float = Field(
        default=5.0, ge=0, le=1_000, description="Least time between two marks that are not full."
    )
    lease_seconds: float = Field(
        default=10.0, ge=1, le=300, description="How long a shard stays ours without a renewal."
    )
    lease_renew_seconds: float = Field(
        default=3.0, gt=0, le=100, description="How often leases are renewed."
    )
    lease_look_seconds: float = Field(
        default=0.5, gt=0, le=60, description="How often free shards are looked for."
    )
    relay_probe_records: int = Field(
        default=1_000,
        ge=0,
        le=100_000,
        description="Last records per partition that a takeover looks at; 0 looks at none.",
    )
    relay_probe_seconds: float = Field(
        default=2.0, gt=0, le=30, description="How long that look may take."
    )
    relay_stall_seconds: float = Field(
        default=3.0,
        gt=0,
        le=600,
        description="A backlog that stands still for so long is not ready.",
    )
    relay_topic_refresh_seconds: float = Field(
        default=60.0, gt=0, le=3600, description="How often size limits and partitions are read."
    )
    relay_topic_grace_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="How long rows wait for a topic that is not there."
    )
    relay_requests_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="How often redrives, discards and waiting keys are read.",
    )
    relay_requests_max: int = Field(
        default=500, ge=1, le=10_000, description="Redrives and discards per look."
    )
    outbox_maintenance_seconds: float = Field(
        default=3600.0, gt=0, description="How often daily partitions are made and dropped."
    )
    outbox_days_ahead: int = Field(default=3, ge=1, le=31, description="Partitions made ahead.")
    outbox_retention_days: int = Field(
        default=7, ge=1, le=3650, description="Days of published rows to keep."
    )

    @model_validator(mode="after")
    def _numbers_fit_together(self) -> Self:
        if self.lease_renew_seconds * 2 > self.lease_seconds:
            message = "LEASE_RENEW_SECONDS must be at most half of LEASE_SECONDS"
            raise ValueError(message)
        if self.relay_pass_seconds_max * 4 > self.lease_seconds:
            message = "RELAY_PASS_SECONDS_MAX must be at most a quarter of LEASE_SECONDS"
            raise ValueError(message)
        if not self.kafka_bootstrap_servers:
            message = "KAFKA_BOOTSTRAP_SERVERS: the relay needs a broker"
            raise ValueError(message)
        return self

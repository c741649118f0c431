"""What the api can be told by its environment; every bound of an input is here."""

import ipaddress
import re
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from shared import egress, errors, sealing
from shared.rules import limits

_ADMIN_KEY = re.compile(r"[!-~]{32,200}")


class ApiSettings(limits.RuleSettings):
    """Each field is an environment variable of the same name in upper case."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=3000, ge=0, le=65535, description="Port of REST, health and metrics.")
    auth_mode: Literal["none", "keys"] = Field(
        default="none",
        description="Who may call: everybody (for loopback), or who has an API key.",
    )
    admin_api_key: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "A key with every scope, to make the first keys with; 32 characters or more, random. "
            "Needs AUTH_MODE=keys."
        ),
    )
    auth_mode_none_on_network: Literal["", "yes"] = Field(
        default="",
        description="yes: serve without authentication on an address that others can reach.",
    )
    cors_origin: str = Field(
        default="",
        max_length=300,
        pattern=r"^(https?://[^\s/,*]+)?$",
        description="The one web origin that browsers may call from; empty: none.",
    )
    body_bytes_max: int = Field(
        default=256 * 1024, ge=1024, le=16 * 1024 * 1024, description="Largest request body."
    )
    batch_body_bytes_max: int = Field(
        default=1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Largest body of POST /events/batch.",
    )
    json_depth_max: int = Field(
        default=32, ge=1, le=64, description="Deepest nesting of a JSON body."
    )
    json_members_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most object members in a JSON body."
    )
    header_bytes_max: int = Field(
        default=32 * 1024, ge=1024, le=1024 * 1024, description="Largest request head."
    )
    header_count_max: int = Field(
        default=64, ge=8, le=1000, description="Most headers of a request."
    )
    request_seconds: float = Field(
        default=15.0,
        gt=0,
        le=300,
        description="How long the answer to one request may take once its body is there.",
    )
    head_seconds: float = Field(
        default=10.0, gt=0, le=300, description="How long a client may take to send the head."
    )
    body_seconds: float = Field(
        default=10.0, gt=0, le=300, description="How long a client may take to send the body."
    )
    requests_max: int = Field(
        default=2000, ge=1, le=100_000, description="Most open requests; more get 503."
    )
    event_batch_items_max: int = Field(
        default=500, ge=1, le=5000, description="Most items of POST /events/batch."
    )
    seed_count_max: int = Field(
        default=10_000, ge=1, le=100_000, description="Most orders of POST /orders/seed."
    )
    coalesce_queue_max: int = Field(
        default=2000, ge=1, le=100_000, description="Rows that may wait for a writer; more get 503."
    )
    coalesce_batch_max: int = Field(
        default=256,
        ge=1,
        le=5000,
        description="Rows per commit; 1 is one transaction per request.",
    )
    coalesce_writers: int = Field(
        default=2, ge=1, le=64, description="Writers, each with its own connection."
    )
    coalesce_attempts_max: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Times that a batch is tried on serialization failures.",
    )
    commit_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="How long one transaction may take before its connection is given up.",
    )
    idempotency_retention_hours: float = Field(
        default=24.0, gt=0, le=8760, description="How long the answer under a key is kept."
    )
    idempotency_sweep_seconds: float = Field(
        default=60.0, gt=0, le=86_400, description="How often keys that are too old are looked for."
    )
    idempotency_sweep_rows: int = Field(
        default=1000, ge=1, le=10_000, description="Keys that one statement deletes."
    )
    idempotency_sweep_batches: int = Field(
        default=100, ge=1, le=10_000, description="Statements of one look."
    )
    payload_sweep_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="How often events beyond their type's retention are looked for.",
    )
    payload_sweep_rows: int = Field(
        default=1000, ge=1, le=10_000, description="Events that one statement looks at."
    )
    payload_sweep_batches: int = Field(
        default=1000, ge=1, le=100_000, description="Statements of one look, for each type."
    )
    notify_interval_ms: int = Field(
        default=2, ge=0, le=10_000, description="Least time between two notifications to the relay."
    )
    pool_size_max: int = Field(default=4, ge=1, le=200, description="Connections for reads.")
    pool_wait_seconds: float = Field(
        default=2.0, gt=0, le=60, description="How long a read may wait for a connection."
    )
    read_timeout_ms: int = Field(
        default=5000, ge=10, le=60_000, description="Longest read statement."
    )
    startup_seconds: float = Field(
        default=30.0, gt=0, le=600, description="How long to wait for the database at start."
    )
    rules_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most rules that are not archived."
    )
    rules_per_type_max: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Most published and shadow versions with one event type.",
    )
    rule_versions_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Most versions of one rule."
    )
    secrets_key: SecretStr = Field(
        default=SecretStr(""),
        description=(
            "Encrypts the secrets and headers of targets: 32 bytes in URL-safe base64; new,old "
            "while a key is changed. The same for the dispatcher. Empty: no targets."
        ),
    )
    webhook_allow_cidrs: str = Field(
        default="",
        max_length=4000,
        description=(
            "Inner networks that webhooks may reach, comma-separated, e.g. 10.20.0.0/16. The same "
            "for the dispatcher. Empty: public addresses only."
        ),
    )
    targets_max: int = Field(
        default=1000, ge=1, le=100_000, description="Most targets that are not archived."
    )
    page_size_max: int = Field(default=200, ge=1, le=1000, description="Largest page of a list.")
    export_rows_max: int = Field(
        default=100_000, ge=1, le=10_000_000, description="Most events of one GET /events/export."
    )
    console_dir: str = Field(
        default="",
        max_length=4000,
        description="Where the built console is; empty: beside the api's code.",
    )
    live_watchers_max: int = Field(
        default=1000, ge=1, le=100_000, description="Most open sockets of GET /ws; more get 1013."
    )
    live_watchers_per_key_max: int = Field(
        default=100,
        ge=1,
        le=100_000,
        description="Most of them with one API key, other than ADMIN_API_KEY.",
    )
    live_send_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="How long a watcher may take nothing before it is dropped.",
    )
    live_frame_bytes_max: int = Field(
        default=4096, ge=256, le=65_536, description="Largest message of a watcher."
    )
    backtest_events_max: int = Field(
        default=10_000_000, ge=1, le=100_000_000, description="Most events of one backtest."
    )
    backtest_page_rows: int = Field(
        default=2000, ge=10, le=20_000, description="Events that a backtest reads at once."
    )
    backtest_examples_max: int = Field(
        default=20, ge=1, le=1000, description="Examples that a backtest keeps of each kind."
    )
    backtest_lease_seconds: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="How long a backtest may give no sign before another runner goes on with it.",
    )
    backtest_poll_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often an api looks for a backtest to run."
    )
    backtest_memory_mb: int = Field(
        default=1024, ge=256, le=65_536, description="Address space of a backtest's process."
    )
    backtests_queued_max: int = Field(
        default=100, ge=1, le=10_000, description="Backtests that may wait or run; more get 503."
    )
    replay_events_max: int = Field(
        default=10_000_000, ge=1, le=10_000_000, description="Most events of one bulk replay."
    )
    replay_rate_per_second_max: int = Field(
        default=5000, ge=1, le=100_000, description="Highest rate of one bulk replay."
    )
    replay_jobs_max: int = Field(
        default=4, ge=1, le=100, description="Bulk replays that one api runs side by side."
    )
    replay_lease_seconds: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="How long a bulk replay may give no sign before another api goes on with it.",
    )
    replay_poll_seconds: float = Field(
        default=1.0, gt=0, le=60, description="How often an api looks for a bulk replay to run."
    )
    replays_queued_max: int = Field(
        default=100, ge=1, le=10_000, description="Bulk replays that are not over; more get 503."
    )

    @field_validator("secrets_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        try:
            sealing.Sealer.from_keys(value.get_secret_value()) if value else None
        except errors.ConfigurationError as error:
            raise ValueError(str(error).removeprefix("SECRETS_KEY ")) from None
        return value

    @field_validator("webhook_allow_cidrs")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        egress.read_networks(value)
        return value

    @field_validator("admin_api_key")
    @classmethod
    def _cannot_be_guessed(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if key and _ADMIN_KEY.fullmatch(key) is None:
            message = "must have 32 to 200 characters, ASCII without spaces"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _nobody_is_let_in_by_accident(self) -> Self:
        if self.auth_mode == "keys":
            return self
        if self.admin_api_key.get_secret_value():
            message = "ADMIN_API_KEY protects nothing with AUTH_MODE=none: say AUTH_MODE=keys"
            raise ValueError(message)
        if not _is_loopback(self.host) and self.auth_mode_none_on_network != "yes":
            message = (
                f"AUTH_MODE=none on {self.host} lets everybody in who can reach it: "
                "use HOST=127.0.0.1 or AUTH_MODE=keys, or say AUTH_MODE_NONE_ON_NETWORK=yes"
            )
            raise ValueError(message)
        return self

    @property
    def webhook_networks(self) -> egress.Networks:
        return egress.read_networks(self.webhook_allow_cidrs)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

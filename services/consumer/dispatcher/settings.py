"""What the dispatcher can be told by its environment; every bound of its loops is here."""

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.consumer.dispatcher import schedule
from shared import egress, errors, sealing, settings, webhook_secrets

_WAIT_SECONDS_MAX = 30 * 86_400


class DispatchSettings(settings.Settings):
    """Each field is an environment variable of the same name in upper case."""

    health_host: str = Field(default="127.0.0.1", description="Address of the probes.")
    health_port: int = Field(
        default=3003, ge=0, le=65535, description="Port of health and metrics; 0 takes any."
    )
    delivery_schedule_seconds: tuple[float, ...] = Field(
        default=(5, 30, 120, 600, 3600, 10_800, 28_800, 86_400),
        max_length=30,
        description="Waits between the attempts of a delivery; then it is given up.",
    )
    delivery_jitter: float = Field(
        default=0.2, ge=0, le=0.9, description="By which part a wait is longer or shorter."
    )
    retry_after_seconds_max: float = Field(
        default=86_400.0, ge=0, le=604_800, description="The longest Retry-After that is honoured."
    )
    delivery_in_flight_max: int = Field(
        default=500, ge=1, le=5000, description="Deliveries that this process sends at a time."
    )
    destination_in_flight_max: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="To one host, or in mails, over all dispatchers; targets have their own.",
    )
    delivery_timeout_ms: int = Field(
        default=15_000,
        ge=100,
        le=60_000,
        description="Longest time of one attempt where no target says otherwise.",
    )
    delivery_lease_margin_seconds: float = Field(
        default=10.0,
        ge=0.5,
        le=300,
        description="Beyond its timeout: how long a delivery in flight belongs to its dispatcher.",
    )
    claim_batch_max: int = Field(
        default=200, ge=1, le=5000, description="Deliveries that are claimed at a time."
    )
    claim_destinations_max: int = Field(
        default=100, ge=1, le=1000, description="Destinations that are claimed from at a time."
    )
    dispatch_poll_ms: int = Field(
        default=500, ge=10, le=10_000, description="Looks for due deliveries this often, unasked."
    )
    record_batch_max: int = Field(
        default=500, ge=1, le=5000, description="Results that are recorded in one transaction."
    )
    upkeep_seconds: float = Field(
        default=1.0,
        ge=0.05,
        le=60,
        description="Looks for expired leases and requests this often.",
    )
    breaker_failures: int = Field(
        default=5, ge=1, le=1000, description="Failures in a row after which a destination rests."
    )
    breaker_seconds: float = Field(
        default=30.0, gt=0, le=86_400, description="How long it rests before one probe is sent."
    )
    reconnect_seconds_max: float = Field(
        default=2.0, gt=0, le=60, description="Longest pause between attempts to reach Postgres."
    )
    stall_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="Due work that rests this long is not ready."
    )
    silence_seconds_max: float = Field(
        default=60.0, gt=0, le=3600, description="A loop that is silent this long is not alive."
    )
    startup_seconds: float = Field(
        default=30.0, gt=0, le=600, description="How long to wait for the database at start."
    )
    secrets_key: SecretStr = Field(
        default=SecretStr(""),
        description="Opens secrets and headers of targets: key, or new,old. The same as the api's.",
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        description="whsec_...: signs webhooks to plain URLs; empty: they are not signed.",
    )
    webhook_allow_cidrs: str = Field(
        default="",
        max_length=4000,
        description="Networks that may be called although they are inner ones, comma-separated.",
    )
    webhook_ca_file: str = Field(
        default="", max_length=4096, description="More authorities for TLS, in PEM."
    )
    email_mode: Literal["disabled", "log", "smtp"] = Field(
        default="disabled", description="disabled: mails are skipped; log: a line instead of each."
    )
    email_from: str = Field(default="", max_length=320, description="The sender of every mail.")
    smtp_host: str = Field(default="", max_length=255, description="Where mails are handed over.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    smtp_user: str = Field(default="", max_length=320, description="Empty: no log-in.")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="Its password.")
    smtp_starttls: Literal["require", "if-offered", "off", "implicit"] = Field(
        default="require", description="implicit: TLS from the first byte (port 465)."
    )

    smtp_ca_file: str = Field(
        default="", max_length=4096, description="More authorities for the mail server's TLS."
    )

    @field_validator("delivery_schedule_seconds")
    @classmethod
    def _waits_are_possible(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= wait <= _WAIT_SECONDS_MAX for wait in value):
            message = f"each wait is 0 to {_WAIT_SECONDS_MAX} seconds"
            raise ValueError(message)
        return value

    @field_validator("secrets_key")
    @classmethod
    def _keys_can_be_used(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            try:
                sealing.Sealer.from_keys(value.get_secret_value())
            except errors.ConfigurationError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _secret_can_be_read(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            webhook_secrets.read_secret(value.get_secret_value())
        return value

    @field_validator("webhook_allow_cidrs")
    @classmethod
    def _networks_can_be_read(cls, value: str) -> str:
        egress.read_networks(value)
        return value

    @model_validator(mode="after")
    def _mail_has_a_server(self) -> Self:
        if self.email_mode == "smtp" and not (self.smtp_host and self.email_from):
            message = "EMAIL_MODE: smtp needs SMTP_HOST and EMAIL_FROM"
            raise ValueError(message)
        if bool(self.smtp_user) != bool(self.smtp_password.get_secret_value()):
            message = "SMTP_USER: needs SMTP_PASSWORD, and the other way round"
            raise ValueError(message)
        return self

    @property
    def schedule(self) -> schedule.Schedule:
        return schedule.Schedule(
            waits_seconds=self.delivery_schedule_seconds,
            jitter=self.delivery_jitter,
            retry_after_seconds_max=self.retry_after_seconds_max,
        )

    @property
    def sealer(self) -> sealing.Sealer | None:
        keys = self.secrets_key.get_secret_value()
        return sealing.Sealer.from_keys(keys) if keys else None

"""Environment variables -> one frozen settings object per service, read once.

`NAME_FILE` names a file that holds the value of `NAME` (secrets). A wrong setting never surfaces
later: all errors are listed together and the process ends with status 78 (EX_CONFIG of sysexits.h).
"""

import os
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, override

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import errors

EX_CONFIG = 78


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `NAME_FILE` for every setting `NAME`; the plain variable wins."""

    @override
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            message = f"{field_name.upper()}_FILE: cannot read {path!r}: {error}"
            raise errors.ConfigurationError(message) from error

    @override
    def __call__(self) -> dict[str, Any]:
        values = (
            (name, self.get_field_value(field, name)[0])
            for name, field in self.settings_cls.model_fields.items()
        )
        return {name: value for name, value in values if value is not None}


class Settings(BaseSettings):
    """What every service needs. Each field is an environment variable of the same name in upper
    case.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        env_ignore_empty=False,
    )

    app_env: Literal["dev", "test", "staging", "production"] = Field(
        default="dev", description="Where this runs; production refuses fault injection."
    )
    database_url: SecretStr = Field(
        description="Postgres, as postgresql://user:password@host:port/database."
    )
    kafka_bootstrap_servers: str = Field(
        default="", description="host:port,host:port of the brokers."
    )
    topic_prefix: str = Field(
        default="oncely.",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        description="Put before `orders`, `events` and EXTRA_TOPICS.",
    )
    extra_topics: str = Field(
        default="",
        max_length=2000,
        pattern=r"^([A-Za-z0-9._-]{1,100}(,[A-Za-z0-9._-]{1,100}){0,31})?$",
        description=(
            "More topics, comma-separated, that event types may have for themselves; the prefix is "
            "put before each. The same for every service."
        ),
    )
    instance_id: str = Field(
        default="",
        max_length=100,
        pattern=r"^[A-Za-z0-9._:-]*$",
        description=(
            "This process's name in leases, history and group membership; default: host name "
            "and process id."
        ),
    )
    log_format: Literal["json", "pretty"] = Field(
        default="json", description="One JSON object a line, or colours for people."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is written."
    )
    drain_seconds: float = Field(
        default=10.0,
        gt=0,
        le=300,
        description="On SIGTERM: how long running work may take to finish.",
    )
    live_interval_ms: int = Field(
        default=100,
        ge=10,
        le=10_000,
        description="Least time between two notices of this process to those who watch.",
    )
    faults_enabled: bool = Field(
        default=False, description="Fault injection; refused when APP_ENV is production."
    )
    failpoints: str = Field(
        default="",
        max_length=4000,
        description=(
            "Failpoints from the start, e.g. relay.after_ack_before_mark=1*kill. Needs "
            "FAULTS_ENABLED."
        ),
    )

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            message = "must start with postgresql://"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _no_faults_in_production(self) -> Self:
        if self.faults_enabled and self.app_env == "production":
            message = "FAULTS_ENABLED is refused when APP_ENV is production"
            raise ValueError(message)
        if self.failpoints and not self.faults_enabled:
            message = "FAILPOINTS needs FAULTS_ENABLED=1"
            raise ValueError(message)
        return self

    @field_validator("extra_topics")
    @classmethod
    def _extra_topics_are_others(cls, value: str) -> str:
        names = ["orders", "events", *filter(None, value.split(","))]
        if len(set(names)) < len(names):
            message = "each name once, and neither orders nor events, which are there anyway"
            raise ValueError(message)
        return value

    @property
    def database_dsn(self) -> str:
        return self.database_url.get_secret_value()

    @property
    def orders_topic(self) -> str:
        return f"{self.topic_prefix}orders"

    @property
    def events_topic(self) -> str:
        return f"{self.topic_prefix}events"

    @property
    def event_type_topics(self) -> list[str]:
        """What an event type may have as its topic: the one for all events, or one of its own."""
        names = filter(None, self.extra_topics.split(","))
        return [self.events_topic, *(f"{self.topic_prefix}{name}" for name in names)]

    @property
    def all_topics(self) -> list[str]:
        return [self.orders_topic, *self.event_type_topics]


def load[S: Settings](kind: type[S]) -> S:
    """Read the environment or end the process with status 78 and every error in one message."""
    try:
        return kind()  # pyright: ignore[reportCallIssue] the values come from the environment
    except ValidationError as error:
        lines = [
            _describe(detail["loc"], detail["msg"])
            for detail in error.errors(include_input=False, include_url=False)
        ]
        sys.stderr.write("configuration refused:\n" + "".join(f"  {line}\n" for line in lines))
    except errors.ConfigurationError as error:
        sys.stderr.write(f"configuration refused:\n  {error}\n")
    raise SystemExit(EX_CONFIG)


def _describe(loc: tuple[int | str, ...], message: str) -> str:
    name = ".".join(str(part) for part in loc).upper()
    return f"{name}: {message}" if name else message.removeprefix("Value error, ")

"""What a client may say about a target, read with all flaws at once. Pure."""

import math
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec

from services.api import findings, guards, problems
from shared import egress, webhook_secrets
from shared.rules import webhooks

NAME_CHARACTERS_MAX = 200
REASON_CHARACTERS_MAX = 500
TIMEOUT_MS_MIN, TIMEOUT_MS_MAX = 100, 60_000
RATE_MIN, RATE_MAX = 0.01, 10_000.0
IN_FLIGHT_MAX = 1000
OVERLAP_SECONDS_MAX = 30 * 86_400
OVERLAP_SECONDS_DEFAULT = 86_400

_MEMBER_CHARACTERS_MAX = 200

type Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
type Url = Annotated[
    str,
    msgspec.Meta(
        max_length=webhooks.URL_CHARACTERS_MAX,
        description="http or https, without variables, at an address that webhooks may reach.",
    ),
]
type Headers = Annotated[
    dict[str, str],
    msgspec.Meta(description="Sent with each request; stored encrypted and never shown again."),
]
type Secret = Annotated[
    str, msgspec.Meta(description="whsec_ and 24 to 64 bytes in base64; left out: one is made.")
]
type TimeoutMs = Annotated[int, msgspec.Meta(ge=TIMEOUT_MS_MIN, le=TIMEOUT_MS_MAX)]
type Rate = Annotated[float, msgspec.Meta(ge=RATE_MIN, le=RATE_MAX)]
type InFlight = Annotated[int, msgspec.Meta(ge=1, le=IN_FLIGHT_MAX)]
type Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]
type Overlap = Annotated[
    int,
    msgspec.Meta(
        ge=0, le=OVERLAP_SECONDS_MAX, description="How long the present secret goes on signing."
    ),
]


class TargetBody(msgspec.Struct, frozen=True, kw_only=True):
    """A new target. Without rate_per_second it gets as much as in_flight_max lets through."""

    name: Name
    url: Url
    headers: Headers = {}
    secret: Secret | None = None
    timeout_ms: TimeoutMs = 15_000
    rate_per_second: Rate | None = None
    in_flight_max: InFlight = 10


class TargetPatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """What shall change. headers are replaced as a whole; null takes headers or rate away."""

    name: Name | None = None
    url: Url | None = None
    headers: Headers | None = None
    timeout_ms: TimeoutMs | None = None
    rate_per_second: Rate | None = None
    in_flight_max: InFlight | None = None


class DisableBody(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody stops deliveries without saying why."""

    reason: Reason


class RotateBody(msgspec.Struct, frozen=True, kw_only=True):
    """The next secret, made here when it is left out."""

    secret: Secret | None = None
    overlap_seconds: Overlap = OVERLAP_SECONDS_DEFAULT


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """A body of a rotation that was understood."""

    secret: str | None
    overlap_seconds: int


def read_target(body: Any, networks: egress.Networks) -> TargetBody:
    """Read the body of a creation. Raises invalid-request with every flaw."""
    reader = _Reader(body, TargetBody.__struct_fields__, networks)
    for name in ("name", "url"):
        if reader.given.get(name) is None:
            reader.wrong(f"/{name}", "is required")
    fields = {k: v for k, v in reader.fields().items() if v is not None}
    secret = reader.secret()
    reader.raise_if_wrong("nothing was stored")
    return TargetBody(**fields, secret=secret)


def read_patch(body: Any, networks: egress.Networks) -> dict[str, Any]:
    """The members that change, checked. Raises invalid-request with every flaw."""
    reader = _Reader(body, TargetPatchBody.__struct_fields__, networks)
    for name, value in reader.given.items():
        if value is None and name not in {"headers", "rate_per_second"}:
            reader.wrong(f"/{name}", "cannot be removed: leave it out to keep it as it is")
    fields = reader.fields()
    reader.raise_if_wrong("nothing was stored")
    if "headers" in fields:
        fields["headers"] = fields["headers"] or {}
    return fields


def read_disable(body: Any) -> str:
    reader = _Reader(body, DisableBody.__struct_fields__)
    reason = reader.text("reason", REASON_CHARACTERS_MAX)
    reader.raise_if_wrong("nothing was stored")
    return reason


def read_rotation(body: Any) -> Rotation:
    reader = _Reader(body, RotateBody.__struct_fields__)
    seconds = reader.whole("overlap_seconds", 0, OVERLAP_SECONDS_MAX)
    secret = reader.secret()
    reader.raise_if_wrong("nothing was stored")
    return Rotation(
        secret=secret, overlap_seconds=OVERLAP_SECONDS_DEFAULT if seconds is None else seconds
    )


class _Reader(findings.Findings):
    """Reads members and collects what is wrong, so that a client hears all of it at once."""

    def __init__(self, body: Any, known: tuple[str, ...], networks: egress.Networks = ()) -> None:
        super().__init__()
        if not isinstance(body, dict):
            raise problems.at("", "must be an object")
        self.given = cast("dict[str, Any]", body)
        self._networks = networks
        names = list(self.given)[: findings.FAULTS_MAX]
        if "secret" in names and "secret" not in known:
            self.wrong("/secret", "is changed by POST /targets/{id}/secrets")
            names.remove("secret")
        self.refuse_unknown(names, known)

    def fields(self) -> dict[str, Any]:
        """The members of a target that are given, without its secret."""
        reads = {
            "name": self._name,
            "url": self._url,
            "headers": self._headers,
            "timeout_ms": lambda: self.whole("timeout_ms", TIMEOUT_MS_MIN, TIMEOUT_MS_MAX),
            "rate_per_second": self._rate,
            "in_flight_max": lambda: self.whole("in_flight_max", 1, IN_FLIGHT_MAX),
        }
        return {
            name: None if self.given[name] is None else read()
            for name, read in reads.items()
            if name in self.given
        }

    def text(self, name: str, characters_max: int) -> str:
        value = self.given.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= characters_max:
            self.wrong(f"/{name}", f"must be a text of 1 to {characters_max} characters")
            return ""
        if not value.isprintable() or value != value.strip():
            self.wrong(f"/{name}", "may hold printable characters only, and no space at either end")
        return value

    def whole(self, name: str, least: int, most: int) -> int | None:
        value = self.given.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(f"/{name}", f"must be a whole number from {least} to {most}")
            return None
        return value

    def secret(self) -> str | None:
        value = self.given.get("secret")
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong("/secret", f"must be a text that starts with {webhook_secrets.PREFIX}")
            return None
        try:
            webhook_secrets.read_secret(value)
        except ValueError as error:
            self.wrong("/secret", str(error))
        return value

    def _name(self) -> str:
        value = self.text("name", NAME_CHARACTERS_MAX)
        if _is_uuid(value) or "{{" in value:
            self.wrong("/name", "must not look like an id or a variable: rules name targets by it")
        return value

    def _url(self) -> str:
        value = self.given["url"]
        if not isinstance(value, str):
            self.wrong("/url", "must be a text such as https://example.com/hooks")
            return ""
        messages = list(webhooks.flaws_of_url(value))
        if "{" in value or "}" in value:
            messages.append("has variables, or braces that are not percent-encoded")
        if not messages and (refusal := egress.refusal_of_url(value, self._networks)) is not None:
            messages.append(refusal)
        for message in messages:
            self.wrong("/url", message)
        return value

    def _headers(self) -> dict[str, str]:
        value = self.given["headers"]
        if not isinstance(value, dict):
            self.wrong("/headers", "must be an object of texts")
            return {}
        headers = cast("dict[str, Any]", value)
        if len(headers) > webhooks.HEADERS_MAX:
            self.wrong("/headers", f"has {len(headers)} headers; at most {webhooks.HEADERS_MAX}")
            return {}
        if len({name.lower() for name in headers}) < len(headers):
            self.wrong("/headers", "has a header twice: upper and lower case are the same")
        for name, text in headers.items():
            pointer = f"/headers/{guards.escape(name[:_MEMBER_CHARACTERS_MAX])}"
            for message in webhooks.flaws_of_header_name(name):
                self.wrong(pointer, message)
            message = (
                webhooks.flaw_of_header_value(text) if isinstance(text, str) else "must be a text"
            )
            if message is not None:
                self.wrong(pointer, message)
        return headers

    def _rate(self) -> float:
        value = self.given["rate_per_second"]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not RATE_MIN <= value <= RATE_MAX:
            self.wrong("/rate_per_second", f"must be a number from {RATE_MIN} to {RATE_MAX:.0f}")
            return 0.0
        return float(value)


def _is_uuid(text: str) -> bool:
    """In any of the forms that somebody might take for an id."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True

"""What goes over the socket: JSON in text frames, each with its `type`. Pure.

The OpenAPI document describes these structs, so the console's types are made of them.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shared import live
from shared.rules import patterns

SUBSCRIPTIONS_MAX = 20
VALUES_MAX = 20
REASON_BYTES_MAX = 123  # RFC 6455, section 5.5

POLICY_VIOLATION = 1008
UNSUPPORTED_DATA = 1003
TRY_AGAIN_LATER = 1013

type Text = Annotated[str, Meta(min_length=1, max_length=200)]
type Seq = Annotated[int, Meta(ge=0, le=2**53)]


class Refused(Exception):
    """The socket is closed with this code; the reason says how to mend it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = shortened(reason)


class LiveSubscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a watcher wants to hear of; a list that is left out stands for all.

    event_types may be patterns (`payment.*`); what has no event type passes them all.
    """

    kinds: (
        Annotated[list[live.Kind], Meta(min_length=1, max_length=VALUES_MAX)] | msgspec.UnsetType
    ) = msgspec.UNSET
    event_types: (
        Annotated[list[Text], Meta(min_length=1, max_length=VALUES_MAX)] | msgspec.UnsetType
    ) = msgspec.UNSET
    statuses: (
        Annotated[list[Text], Meta(min_length=1, max_length=VALUES_MAX)] | msgspec.UnsetType
    ) = msgspec.UNSET


class LiveSubscribe(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="subscribe"
):
    """The one message of a client; it replaces what it subscribed to before. stream and last_seq:
    where it was when it last heard of this api, once per connection.
    """

    subscriptions: Annotated[list[LiveSubscription], Meta(max_length=SUBSCRIPTIONS_MAX)]
    stream: Annotated[str, Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    last_seq: Seq | msgspec.UnsetType = msgspec.UNSET


class LiveHello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """The first frame. kinds: what the caller may see at all."""

    stream: str
    seq: int
    heartbeat_seconds: float
    kinds: list[live.Kind]


class LiveUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Something has got this status. Several services tell of one event, and their words may come
    in another order than they were said: what holds now, the REST api says.
    """

    kind: live.Kind
    id: str
    status: str
    event_type: str | None


class LiveOmitted(msgspec.Struct, frozen=True, kw_only=True):
    """So many more updates of this sort, without their ids: there were too many. Without an event
    type: of whichever.
    """

    kind: live.Kind
    status: str
    event_type: str | None
    count: int


class LiveUpdates(msgspec.Struct, frozen=True, kw_only=True, tag="updates"):
    """What was heard of up to seq since the frame before."""

    seq: int
    updates: list[LiveUpdate]
    omitted: list[LiveOmitted]


class LiveGap(msgspec.Struct, frozen=True, kw_only=True, tag="gap"):
    """Something was missed: ask the REST api again for whatever is shown."""

    seq: int
    reason: str


class LiveHeartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """The connection is alive, and all that was heard of up to seq is sent. A service that is
    killed between its commit and its notice is not heard: ask the REST api now and then.
    """

    seq: int


class LiveSubscribed(msgspec.Struct, frozen=True, kw_only=True, tag="subscribed"):
    """The subscriptions that are in force from seq on."""

    seq: int
    subscriptions: list[LiveSubscription]


SERVER_FRAMES: Mapping[str, type] = {
    "hello": LiveHello,
    "updates": LiveUpdates,
    "gap": LiveGap,
    "heartbeat": LiveHeartbeat,
    "subscribed": LiveSubscribed,
}

_DECODER = msgspec.json.Decoder(LiveSubscribe)


def encode(frame: msgspec.Struct) -> str:
    return msgspec.json.encode(frame).decode()


def read(message: Any) -> LiveSubscribe:
    """Read an ASGI message that anybody may have sent, or raise Refused."""
    text: str | None = message.get("text")
    if text is None:
        raise Refused(UNSUPPORTED_DATA, "send JSON in text frames; binary ones are not taken")
    try:
        found = _DECODER.decode(text)
    except msgspec.ValidationError as error:
        raise Refused(POLICY_VIOLATION, f"see GET /ws in /openapi.json: {error}") from None
    except (msgspec.DecodeError, RecursionError):
        raise Refused(
            POLICY_VIOLATION, 'not JSON: send {"type":"subscribe","subscriptions":[{}]}'
        ) from None
    for number, subscription in enumerate(found.subscriptions):
        for pattern in subscription.event_types or ():
            for flaw in patterns.check(pattern):
                raise Refused(
                    POLICY_VIOLATION, f"subscriptions[{number}].event_types: it {flaw.message}"
                )
    return found


def shortened(reason: str) -> str:
    """As a close frame takes it."""
    return reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")

"""What a row without an acknowledgement means. Pure: failures in, a verdict out.

The broker refuses a batch as a whole, so one guilty row takes innocent ones with it; the suspects
are then sent again in groups that are halved with every refusal, until a group of one is refused.
"""

from collections.abc import Callable, Sequence

import msgspec

from services.relay import publisher
from services.relay.queries import outbox
from shared import kafka

# Time does not mend these: the row itself is at fault.
GUILTY_CODES = frozenset(
    {
        kafka.KafkaError.MSG_SIZE_TOO_LARGE,
        kafka.KafkaError.RECORD_LIST_TOO_LARGE,
        kafka.KafkaError.INVALID_MSG,
        kafka.KafkaError.INVALID_MSG_SIZE,
        kafka.KafkaError.INVALID_RECORD,
        kafka.KafkaError.INVALID_TIMESTAMP,
        kafka.KafkaError.POLICY_VIOLATION,
        kafka.KafkaError._INVALID_ARG,  # noqa: SLF001 the client refuses the row itself
    }
)
# The topic is at fault, not the row: its rows wait, other topics flow.
TOPIC_CODES = frozenset(
    {
        kafka.KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        kafka.KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        kafka.KafkaError.UNKNOWN_TOPIC_OR_PART,
        kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED,
        kafka.KafkaError.TOPIC_EXCEPTION,
    }
)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the loop does before it reads again. Rows named nowhere are sent again."""

    park: list[publisher.Failure] = []
    suspects: frozenset[int] = frozenset()
    topics: dict[str, str] = {}


def judge(
    failures: Sequence[publisher.Failure], *, too_large: Callable[[outbox.Row], bool]
) -> Verdict:
    """Decide by the current size limits first, then by who was refused together."""
    topics = {
        failure.row[4]: failure.message for failure in failures if failure.code in TOPIC_CODES
    }
    refused = [failure for failure in failures if failure.code in GUILTY_CODES]
    guilty = [failure for failure in refused if too_large(failure.row)]
    if not guilty and len(refused) == 1:
        guilty = refused
    if guilty:
        # The others were only in the same batch: with the guilty ones gone they are sent again.
        return Verdict(park=sorted(guilty, key=lambda failure: failure.row[0]), topics=topics)
    return Verdict(suspects=frozenset(failure.row[0] for failure in refused), topics=topics)


def group_size(*, refused: int) -> int:
    """How many suspects to send together after so many were refused together."""
    return max((refused + 1) // 2, 1)

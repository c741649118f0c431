"""The usual consumer: poll, one transaction per record with the same rows as ours, commit offset.

Run as a process: DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS, TOPIC, GROUP, COUNT; ends after COUNT.
"""

import os
from typing import cast

import psycopg
from confluent_kafka import Consumer

APPLY = """
    with fresh as (
      insert into processed_events (aggregate_id, event_type, replay, event_id, topic,
        kafka_partition, kafka_offset, consumer)
      values (%(aggregate)s, %(type)s, 0, %(event)s, %(topic)s, %(partition)s, %(offset)s, 'plain')
      on conflict do nothing returning event_id),
    attempt as (
      insert into event_attempts (event_id, attempt_no, trigger, status, duration_ms, consumer)
      select event_id, 1, 'received', 'success', 0, 'plain' from fresh)
    update events set status = 'processed' from fresh where events.id = fresh.event_id"""


def main() -> None:
    """Apply COUNT records and end."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": os.environ["GROUP"],
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.subscribe([os.environ["TOPIC"]])
    left = int(os.environ["COUNT"])
    with psycopg.connect(os.environ["DATABASE_URL"], prepare_threshold=0) as conn:
        while left:
            message = consumer.poll(30)
            assert message is not None, "no record for 30 s"
            if message.error():
                continue
            received = cast("list[tuple[str, bytes]]", message.headers())
            headers = {name: value.decode() for name, value in received}
            event_type = headers["ce_type"]
            conn.execute(
                APPLY,
                {
                    "aggregate": headers["ce_id"][: -len(event_type) - 1],
                    "type": event_type,
                    "event": headers["x-event-id"],
                    "topic": message.topic(),
                    "partition": message.partition(),
                    "offset": message.offset(),
                },
            )
            conn.commit()
            consumer.commit(message=message, asynchronous=True)
            left -= 1
    consumer.close()


if __name__ == "__main__":
    main()

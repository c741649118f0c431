"""The usual outbox poller: SKIP LOCKED, produce, flush, UPDATE. No order per key, no dead letters.

Run as a process: DATABASE_URL, KAFKA_BOOTSTRAP_SERVERS; ends when the outbox is empty.
"""

import os

import psycopg
from confluent_kafka import Producer

CLAIM = """
    select created_at, id, topic, kafka_key, payload, event_type, event_id from outbox
    where published_at is null and parked_at is null
    order by id limit 500 for update skip locked"""
MARK = """
    update outbox o set published_at = now(), kafka_partition = 0, kafka_offset = 0
    from unnest(%b::timestamptz[], %b::bigint[]) v(c, i) where o.created_at = v.c and o.id = v.i"""


def main() -> None:
    """Drain and end."""
    producer = Producer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "enable.idempotence": True,
            "linger.ms": 1,
            "compression.type": "lz4",
        }
    )
    with psycopg.connect(os.environ["DATABASE_URL"], prepare_threshold=0) as conn:
        while True:
            rows = conn.execute(CLAIM, binary=True).fetchall()
            if not rows:
                return
            for _, _, topic, key, payload, event_type, event_id in rows:
                producer.produce(
                    topic,
                    payload,
                    key,
                    headers=[("ce_type", event_type.encode()), ("ce_id", event_id.bytes)],
                )
            assert producer.flush(30) == 0
            conn.execute(MARK, [[row[0] for row in rows], [row[1] for row in rows]])
            conn.commit()


if __name__ == "__main__":
    main()

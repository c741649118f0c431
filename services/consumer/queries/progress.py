"""How far each partition is: lag for people who do not ask Kafka."""

from typing import Any, LiteralString

from shared import database

# One writer per partition: its owner. A zombie's last report is overwritten within a second.
REPORT: LiteralString = """
    insert into consumer_partitions (
      consumer_group, topic, kafka_partition, committed_offset, end_offset, consumer, updated_at)
    select %(consumer_group)s, i.topic, i.kafka_partition, i.committed, i.end_offset, %(consumer)s,
      now()
    from unnest(
      %(topics)b::text[], %(partitions)b::int[], %(committed)b::bigint[], %(ends)b::bigint[]
    ) as i (topic, kafka_partition, committed, end_offset)
    order by i.topic, i.kafka_partition
    on conflict (consumer_group, topic, kafka_partition) do update
    set
      committed_offset = excluded.committed_offset,
      end_offset = excluded.end_offset,
      consumer = excluded.consumer,
      updated_at = excluded.updated_at"""


def report(
    conn: database.Connection[Any],
    *,
    consumer_group: str,
    consumer: str,
    rows: list[tuple[str, int, int, int]],
) -> None:
    """Rows of topic, partition, committed offset, end offset; none only asks for a sign of life."""
    bound = {
        "consumer_group": consumer_group,
        "consumer": consumer,
        "topics": [row[0] for row in rows],
        "partitions": [row[1] for row in rows],
        "committed": [row[2] for row in rows],
        "ends": [row[3] for row in rows],
    }
    conn.execute(REPORT, bound)

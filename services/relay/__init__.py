"""The relay: reads the outbox, publishes to Kafka, waits for the acknowledgement, then marks.

It owns relay_shards and the publish columns of the outbox. It never claims rows, keeps no cursor
and knows nothing of orders or effects.
"""

"""Kafka -> effects, once: one transaction per batch, the offsets after it.

What lives where, in the order of the data:
loop         the thread that owns all Kafka calls
partitions   which partitions are ours, and how far each of them is
records      one record, decoded or found unreadable
plans        what a batch asks for: decoded, deduped, judged by the rules, sorted
evaluation   what the live rules say of one event
rulebook     the live rules, compiled; read again when they changed
handler      the one transaction of a batch, with bisect
actions      what applied rules do outside the database, after the commit
effects      what an order event books
writer       the thread that owns the database connection; an error becomes a fate here
retries      what waits: scheduled retries, their followers, redrive and discard requests
failures     why an attempt failed, as the history tells it
backoff      when a failed event is tried again
dead_letters what no retry mends, as rows
columns      events as arrays, for the statements of queries
status       what the probes say
"""

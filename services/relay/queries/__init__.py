"""All SQL of the relay. Every function takes the connection first and never commits.

outbox  unpublished rows, the fenced mark, depth, partitions, notifications
leases  who lives, and which shards are whose
letters rows that are parked, the keys that wait behind them, redrives and discards
"""

"""The service that clients talk to: orders and events in, everything readable out. `python -m
services.api`.

front        every request's first and last steps: bounds, origin, headers, commands, metrics
commands     the table of writes; orders and events hold them, reads are Litestar handlers beside
them
coalescer    many requests, one commit
writes       what one commit holds, in the order that cannot deadlock
"""

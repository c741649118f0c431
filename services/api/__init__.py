"""The service that clients talk to: orders and events in, everything readable out. `python -m
services.api`.

front        every request's first and last steps: bounds, origin, headers, commands, metrics
commands     the table of writes; orders and events hold them, reads are Litestar handlers beside
them
coalescer    many requests, one commit
rules        the rules: routes, versions, trying one out, what they said, the shadow comparison
backtests    two versions over past events, in a process of its own
event_types  the types' settings; data_schemas checks what their data must look like
writes       what one commit holds, in the order that cannot deadlock
"""

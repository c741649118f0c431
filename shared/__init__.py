"""The library of the three services; it imports nothing of ours.

errors       what can go wrong, as a tree
settings     environment -> frozen settings, all errors at once
clock        now, as one function
events       the record format, the dedupe key, the payload hash, the shard of a key
egress       which addresses may be called, and which never
webhook_secrets  the form of a secret that signs webhooks
sealing      encryption of secrets at rest
faults       named failpoints, off by default
lifecycle    SIGTERM -> drain -> stop
telemetry    logs, metric names, traceparent
database     connections, timeouts and what a database error means
kafka        every client option that we set, with its reason; topics
live         what the services tell about their commits, for whoever watches
fault_rules  the fault tables as one service sees them
health       /health/live, /health/ready and /metrics for the loops
migrations   schemas/sql in order, under a lock, with checksums
"""

"""The local stack: real Postgres, real Kafka and our services as local processes, no Docker."""

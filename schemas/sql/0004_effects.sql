-- What the consumer writes: the dedupe, the history and the effects, all in one transaction per batch.
--
-- processed_events is the promise. Its primary key has three columns because joined text is ambiguous
-- ('a-b' + 'c' = 'a' + 'b-c'); dedupe_key is for people and headers.
-- Offsets are a hint; a record seen again meets this key and is dropped, with the reason in dropped_records.

create table processed_events (
  aggregate_id    text        not null,
  event_type      text        not null,
  replay          integer     not null default 0,
  dedupe_key      text        not null generated always as (aggregate_id || '-' || event_type) stored,
  event_id        uuid        not null,
  topic           text        not null,
  kafka_partition integer     not null,
  kafka_offset    bigint      not null,
  consumer        text        not null,
  processed_at    timestamptz not null default now(),
  constraint processed_events_pkey primary key (aggregate_id, event_type, replay)
);

-- A record that was not applied because its key was: redelivered = the same record again (a crash between the
-- two commits), duplicate = published again, conflict = another event under the same key.
create table dropped_records (
  topic           text        not null,
  kafka_partition integer     not null,
  kafka_offset    bigint      not null,
  event_id        uuid        not null,
  aggregate_id    text        not null,
  event_type      text        not null,
  replay          integer     not null,
  verdict         text        not null,
  consumer        text        not null,
  dropped_at      timestamptz not null default now(),
  constraint dropped_records_pkey primary key (topic, kafka_partition, kafka_offset),
  constraint dropped_records_verdict_known check (verdict in ('redelivered', 'duplicate', 'conflict'))
);
create index dropped_records_by_event on dropped_records (event_id);

create table event_attempts (
  event_id      uuid        not null,
  replay        integer     not null default 0,
  attempt_no    integer     not null,
  trigger       text        not null,
  status        text        not null,
  error_class   text,
  error_message text,
  error_stack   text,
  injected      boolean     not null default false,
  duration_ms   real        not null,
  consumer      text        not null,
  finished_at   timestamptz not null default now(),
  constraint event_attempts_pkey primary key (event_id, replay, attempt_no),
  constraint event_attempts_trigger_known check (trigger in ('received', 'retry', 'replay', 'redrive')),
  constraint event_attempts_status_known check (status in ('success', 'failed')),
  constraint event_attempts_failed_says_why check ((status = 'failed') = (error_class is not null)),
  constraint event_attempts_no_positive check (attempt_no >= 1)
);

-- Records whose processing failed and is scheduled again, and the later records of the same key behind them.
-- A key's rows are applied by (topic, kafka_partition, kafka_offset); next_at counts on the first of them only.
-- next_at is null while the first row sits in the dead letters and its key waits for a redrive or discard.
create table waiting_events (
  topic           text        not null,
  kafka_partition integer     not null,
  kafka_offset    bigint      not null,
  kafka_key       text        not null,
  event_id        uuid        not null,
  replay          integer     not null,
  value           bytea       not null,
  headers         jsonb       not null,
  attempt_no      integer     not null default 0,
  trigger         text        not null default 'received',
  next_at         timestamptz,
  waiting_since   timestamptz not null default now(),
  constraint waiting_events_pkey primary key (topic, kafka_partition, kafka_offset),
  constraint waiting_events_trigger_known check (trigger in ('received', 'retry', 'replay', 'redrive'))
) with (fillfactor = 70);
create index waiting_events_by_key on waiting_events (kafka_key, topic, kafka_partition, kafka_offset);
create index waiting_events_due on waiting_events (next_at) where next_at is not null;

-- What no retry will mend: refused by the broker (relay), unreadable, forged or failed for good (consumer).
create table dead_letters (
  id              uuid        not null,
  stage           text        not null,
  state           text        not null default 'open',
  event_id        uuid,
  replay          integer,
  event_type      text,
  kafka_key       text,
  outbox_id       bigint,
  outbox_created_at timestamptz,
  topic           text        not null,
  kafka_partition integer,
  kafka_offset    bigint,
  payload         bytea,
  payload_bytes   integer     not null,
  headers         jsonb       not null default '{}',
  error_class     text        not null,
  error_message   text        not null,
  attempts        integer     not null default 1,
  created_at      timestamptz not null default now(),
  resolved_at     timestamptz,
  resolution_reason text,
  constraint dead_letters_pkey primary key (id),
  constraint dead_letters_stage_known check (stage in ('relay', 'consumer', 'delivery')),
  constraint dead_letters_state_known check (
    state in ('open', 'redrive_requested', 'redriven', 'discard_requested', 'discarded')
  ),
  constraint dead_letters_payload_capped check (octet_length(payload) <= 1048576)
);
-- One record is one dead letter, however often it is delivered; one parked outbox row likewise while it is open.
create unique index dead_letters_once_per_record on dead_letters (topic, kafka_partition, kafka_offset)
  where stage = 'consumer';
create unique index dead_letters_once_per_parked_row on dead_letters (outbox_created_at, outbox_id)
  where stage = 'relay' and state in ('open', 'redrive_requested', 'discard_requested');
create index dead_letters_by_stage on dead_letters (stage, id desc);
create index dead_letters_requested on dead_letters (stage, state) where state in ('redrive_requested', 'discard_requested');
create index dead_letters_by_event on dead_letters (event_id) where event_id is not null;

-- Double entry in integer minor units; one debit and one credit per paid or refunded event. The foreign key is
-- the statement "no effect without its dedupe row".
create table ledger_entries (
  order_id   uuid        not null,
  event_type text        not null,
  replay     integer     not null default 0,
  side       text        not null,
  aggregate_id text      not null generated always as (order_id::text) stored,
  account    text        not null,
  amount     bigint      not null,
  currency   text        not null,
  event_id   uuid        not null,
  booked_at  timestamptz not null default now(),
  constraint ledger_entries_pkey primary key (order_id, event_type, side),
  constraint ledger_entries_side_known check (side in ('debit', 'credit')),
  constraint ledger_entries_amount_positive check (amount > 0),
  constraint ledger_entries_only_with_dedupe foreign key (aggregate_id, event_type, replay)
    references processed_events (aggregate_id, event_type, replay)
);

-- How far each partition is, as its consumer last saw it: lag without asking Kafka.
create table consumer_partitions (
  consumer_group   text        not null,
  topic            text        not null,
  kafka_partition  integer     not null,
  committed_offset bigint      not null,
  end_offset       bigint      not null,
  consumer         text        not null,
  updated_at       timestamptz not null default now(),
  constraint consumer_partitions_pkey primary key (consumer_group, topic, kafka_partition)
) with (fillfactor = 50);

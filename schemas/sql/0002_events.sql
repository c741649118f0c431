-- Events: what was accepted, once per (source, external_id).
--
-- An order event's identity is its order and type: source 'oncely:orders' and external_id
-- `{orderId}-{eventType}`. The CHECK below makes the unique (source, external_id) the promise that each order
-- event type happens once per order; order ids are UUIDs of fixed length, so the joined text is unambiguous.
-- An ingested event is its own aggregate (aggregate_id = id): nothing is ever dropped because of its type.
-- `payload_hash` is shared.events.payload_hash: SHA-256 over type, subject and canonical data.

create table events (
  id             uuid        not null,
  source         text        not null,
  external_id    text        not null,
  aggregate_id   text        not null,
  aggregate_seq  integer     not null,
  event_type     text        not null,
  subject        text,
  payload        jsonb       not null,
  payload_hash   bytea       not null,
  status         text        not null default 'pending',
  received_count integer     not null default 1,
  occurred_at    timestamptz,
  received_at    timestamptz not null default now(),
  replayed_at    timestamptz,
  traceparent    text        not null,
  constraint events_pkey primary key (id),
  constraint events_once_per_source unique (source, external_id),
  constraint events_status_known check (status in ('pending', 'processing', 'processed', 'failed')),
  constraint events_aggregate_is_the_order_or_itself check (
    case when source = 'oncely:orders'
      then external_id = aggregate_id || '-' || event_type
      else aggregate_id = id::text
    end
  ),
  constraint events_payload_hash_is_sha256 check (octet_length(payload_hash) = 32),
  constraint events_received_count_positive check (received_count >= 1)
) with (fillfactor = 50, autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);

-- Newest first by type; ids are UUIDv7, so id order is arrival order.
create index events_by_type on events (event_type, id desc);
create index events_by_subject on events (subject, id desc) where subject is not null;
-- The few that are not done. BRIN, because a change of a column that only BRIN indexes stays HOT: a btree here makes
-- every applied event write all indexes again (measured: Postgres 36 instead of 23 us per event, twice the WAL).
-- Always exact; quick because vacuum, which comes by often, summarises what is done by then. After a large backlog
-- was vacuumed while it waited, its ranges are read in vain: `reindex index concurrently events_unfinished`.
create index events_unfinished on events using brin (status) with (pages_per_range = 32);

create table event_edges (
  from_status text not null,
  to_status   text not null,
  constraint event_edges_pkey primary key (from_status, to_status)
);
insert into event_edges (from_status, to_status) values
  ('pending', 'processing'), ('pending', 'processed'), ('pending', 'failed'),
  ('processing', 'processed'), ('processing', 'failed'),
  ('processed', 'pending'), ('failed', 'pending');  -- replay and redrive

-- After, not before: a before trigger locks each row first, also when it is not called.
create trigger events_edge_legal after update of status on events
  for each row when (
    old.status <> new.status
    and (old.status || '>' || new.status) not in (
      'pending>processing', 'pending>processed', 'pending>failed', 'processing>processed', 'processing>failed',
      'processed>pending', 'failed>pending')
  ) execute function refuse_edge();

-- Every other payload that arrived under an event's id: answered with 409, kept here, never processed.
create table event_receipts (
  id            bigint generated always as identity,
  event_id      uuid        not null,
  event_type    text        not null,
  subject       text,
  payload       jsonb       not null,
  payload_hash  bytea       not null,
  seen_count    integer     not null default 1,
  first_seen_at timestamptz not null default now(),
  last_seen_at  timestamptz not null default now(),
  constraint event_receipts_pkey primary key (id),
  constraint event_receipts_event_fkey foreign key (event_id) references events (id),
  constraint event_receipts_once_per_payload unique (event_id, payload_hash),
  constraint event_receipts_seen_count_positive check (seen_count >= 1)
);

-- Per type settings. A type without a row has the defaults of this table.
create table event_types (
  event_type            text     not null,
  key_policy            text     not null default 'wait',
  retry_limit           smallint not null default 10,
  processing_timeout_ms integer  not null default 60000,
  constraint event_types_pkey primary key (event_type),
  constraint event_types_key_policy_known check (key_policy in ('wait', 'pass')),
  constraint event_types_retry_limit_bounded check (retry_limit between 0 and 100),
  constraint event_types_timeout_bounded check (processing_timeout_ms between 1 and 3600000)
);

-- Replay: an event goes once more through outbox, Kafka and consumer, under a number of its own.
--
-- events.replay is the number of the present run: 0 until somebody replays. A record counts only while its number is
-- the present one, so an old record that comes late is dropped (superseded) and never takes the place of the new run.
-- What was asked for stands in event_replays; the consumer reads it there, never from the record, which anybody may
-- have written. How a replay compares with the first run is computed from the history, which never changes.

-- Bulk replays: one job over the events of a filter, in the order of their ids. Position and counts are written in the
-- transaction that replays a page, under the runner's name: whoever goes on after a crash replays each event once.
create table replays (
  id               uuid        not null,
  state            text        not null default 'queued',
  filter           jsonb       not null,               -- received_after, received_before absolute; the latter always there
  mode             text        not null,
  effects          text        not null,
  version_ids      bigint[],                           -- pinned
  reason           text        not null,
  requested_by     text        not null,
  rate_per_second  integer     not null,
  events_max       integer     not null,
  total            integer,                            -- events of the filter when it began, at most events_max
  examined         integer     not null default 0,
  replayed         integer     not null default 0,
  skipped_open     integer     not null default 0,     -- pending or processing at that moment; effects none: or an open dead letter
  skipped_expired  integer     not null default 0,     -- retention had emptied them
  skipped_unapplied integer    not null default 0,     -- mode original, and no run of the event was ever applied
  position_id      uuid,                               -- the last event that was examined
  runner           text,
  heartbeat_at     timestamptz,
  error            text,
  created_at       timestamptz not null default now(),
  started_at       timestamptz,
  finished_at      timestamptz,
  constraint replays_pkey primary key (id),
  constraint replays_state_known check (state in ('queued', 'running', 'paused', 'done', 'cancelled', 'failed')),
  constraint replays_mode_known check (mode in ('current', 'original', 'pinned')),
  constraint replays_effects_known check (effects in ('dedupe', 'force', 'none')),
  constraint replays_pinned_names_versions check ((mode = 'pinned') = (version_ids is not null)),
  constraint replays_reason_bounded check (char_length(reason) between 1 and 1000),
  constraint replays_rate_bounded check (rate_per_second between 1 and 100000),
  constraint replays_events_max_bounded check (events_max between 1 and 10000000),
  constraint replays_counts_fit check (
    replayed + skipped_open + skipped_expired + skipped_unapplied = examined
  ),
  constraint replays_failed_says_why check (state <> 'failed' or error is not null),
  constraint replays_error_stopped_it check (error is null or state in ('failed', 'paused')),
  constraint replays_over_when_finished check ((state in ('done', 'cancelled', 'failed')) = (finished_at is not null))
);
create index replays_unfinished on replays (id) where state in ('queued', 'running');

-- What each run after the first was asked to be. job_id: the bulk replay that it belongs to.
create table event_replays (
  event_id      uuid        not null,
  replay        integer     not null,
  job_id        uuid,
  mode          text        not null,
  effects       text        not null,
  version_ids   bigint[],                              -- original, pinned: exactly these versions are evaluated
  receipt_id    bigint,                                -- the kept payload that runs instead of the event's
  -- The hash of what runs, where it is not the event's own: a receipt, or numbers that jsonb writes in another way
  -- than the sender did (1e2 is 100).
  payload_hash  bytea,
  status_before text        not null,
  reason        text,
  requested_by  text        not null,
  requested_at  timestamptz not null default now(),
  constraint event_replays_pkey primary key (event_id, replay),
  constraint event_replays_event_fkey foreign key (event_id) references events (id),
  constraint event_replays_job_fkey foreign key (job_id) references replays (id),
  constraint event_replays_receipt_fkey foreign key (receipt_id) references event_receipts (id),
  constraint event_replays_no_positive check (replay >= 1),
  constraint event_replays_mode_known check (mode in ('current', 'original', 'pinned')),
  constraint event_replays_effects_known check (effects in ('dedupe', 'force', 'none')),
  constraint event_replays_status_known check (status_before in ('processed', 'failed')),
  constraint event_replays_versions_by_mode check ((mode = 'current') = (version_ids is null)),
  constraint event_replays_receipt_has_its_hash check (receipt_id is null or payload_hash is not null),
  constraint event_replays_reason_bounded check (char_length(reason) <= 1000)
);
create index event_replays_by_job on event_replays (job_id, event_id) where job_id is not null;
create trigger event_replays_append_only before update or delete on event_replays
  for each row execute function refuse_change();

-- A record of a run that is not the present one any more.
alter table dropped_records
  drop constraint dropped_records_verdict_known,
  add constraint dropped_records_verdict_known check (
    verdict in ('redelivered', 'duplicate', 'conflict', 'superseded')
  ) not valid;

-- Last, because it locks everybody out until the commit; a constant default rewrites nothing.
alter table events add column replay integer not null default 0;

-- The api may not read the dedupe keys; for the timeline it sees when and where each run was applied.
create view event_runs as
  select p.aggregate_id, p.event_type, p.replay, p.event_id, p.topic, p.kafka_partition, p.kafka_offset, p.consumer,
    p.processed_at
  from processed_events p;

grant select on replays, event_replays, event_runs to oncely_reader;
grant update (replay) on events to oncely_api;
grant select (replay) on events to oncely_dispatcher;
grant select, insert on event_replays to oncely_api;
grant select on event_runs to oncely_api;
grant select (topic, kafka_partition, kafka_offset, kafka_key, event_id, replay, attempt_no, trigger, next_at, waiting_since)
  on waiting_events to oncely_api;
grant select, insert, update (
  state, total, examined, replayed, skipped_open, skipped_expired, skipped_unapplied, position_id, runner, heartbeat_at,
  error, started_at, finished_at, rate_per_second
) on replays to oncely_api;
grant select on event_replays to oncely_consumer;

-- Outbox: one row per record that the relay owes to Kafka, written in the transaction of its cause.
--
-- The relay re-reads what is unpublished and never keeps a cursor: a sequence is not commit order, so
-- `id > last` would lose a row whose transaction commits late.
-- Order per Kafka key: the aggregate's row lock is taken before the identity value is drawn, and
-- shard = crc32(kafka_key) & 63 gives every key to one relay. (shared.events.shard_of)
-- Daily partitions; whole days are dropped, never deleted row by row. Rows stay HOT-updatable (fillfactor).

create table outbox (
  id              bigint generated always as identity,
  created_at      timestamptz not null default now(),
  shard           smallint    not null,
  event_id        uuid        not null,
  aggregate_id    text        not null,
  aggregate_seq   integer     not null,
  event_type      text        not null,
  replay          integer     not null default 0,
  source          text        not null,
  subject         text,
  occurred_at     timestamptz,
  traceparent     text        not null,
  topic           text        not null,
  kafka_key       text        not null,
  payload         bytea       not null,
  published_at    timestamptz,
  kafka_partition integer,
  kafka_offset    bigint,
  attempts        integer     not null default 0,
  last_error      text,
  parked_at       timestamptz,
  discarded_at    timestamptz,
  constraint outbox_pkey primary key (created_at, id),
  constraint outbox_shard_known check (shard between 0 and 63),
  constraint outbox_published_with_its_place check (
    (published_at is null) = (kafka_partition is null) and (published_at is null) = (kafka_offset is null)
  ),
  constraint outbox_discarded_only_when_parked check (
    discarded_at is null or (parked_at is not null and published_at is null)
  )
) partition by range (created_at);

-- Measured: (id) include (shard) drains 41k to 80k rows/s, (shard, id) 8k to 14k. Pinned by an EXPLAIN test.
create index outbox_unpublished on outbox (id) include (shard) where published_at is null and parked_at is null;
-- The keys that wait behind a parked row. A discarded row stays parked for good, and its key goes on.
create index outbox_parked on outbox (shard, kafka_key)
  where parked_at is not null and published_at is null and discarded_at is null;

-- A row here means that nobody made partitions ahead: it works, and it is an alarm.
create table outbox_default partition of outbox default with (fillfactor = 50);

-- Makes today's partition and those of the next days. Run as the owner by whoever may call it: the relay has
-- no right to create tables. Two callers at once: the second waits for the lock and finds the work done.
create function make_outbox_partitions(days_ahead integer) returns integer
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  first_day date := (now() at time zone 'utc')::date;
  starts_at date;
  made integer := 0;
begin
  if days_ahead not between 0 and 31 then
    raise exception 'days_ahead must be 0 to 31, not %', days_ahead;
  end if;
  perform pg_advisory_xact_lock(hashtext('oncely.outbox_partitions'));
  for day_no in 0..days_ahead loop
    starts_at := first_day + day_no;
    continue when to_regclass('public.' || quote_ident('outbox_' || to_char(starts_at, 'YYYYMMDD'))) is not null;
    execute format(
      'create table public.%I partition of public.outbox for values from (%L) to (%L) with (fillfactor = 50, '
      'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, '
      'autovacuum_vacuum_insert_threshold = 100000)',
      'outbox_' || to_char(starts_at, 'YYYYMMDD'), starts_at || ' 00:00+00', (starts_at + 1) || ' 00:00+00');
    made := made + 1;
  end loop;
  return made;
end $$;

-- Drops whole days that are older than the retention and hold nothing unpublished. lock_timeout keeps a busy
-- table from queueing everybody behind this call; the next call tries again.
create function drop_outbox_partitions(retention_days integer) returns integer
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp set lock_timeout = '200ms' as $$
declare
  child record;
  unpublished boolean;
  dropped integer := 0;
begin
  if retention_days not between 1 and 3650 then
    raise exception 'retention_days must be 1 to 3650, not %', retention_days;
  end if;
  for child in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') < (now() at time zone 'utc')::date - retention_days
    order by c.relname
  loop
    begin
      execute format('lock table public.%I in access exclusive mode', child.relname);
      execute format('select exists (select from public.%I where published_at is null and discarded_at is null)', child.relname)
        into unpublished;
      continue when unpublished;
      execute format('drop table public.%I', child.relname);
      dropped := dropped + 1;
    exception when lock_not_available then
      continue;
    end;
  end loop;
  return dropped;
end $$;

select make_outbox_partitions(3);

-- 64 shards; a relay owns a shard while its lease lives, by the database's clock. Every take raises the epoch,
-- and a mark carries the epoch that it was published under: a relay that lost its lease marks nothing.
create table relay_shards (
  shard      smallint    not null,
  owner      text,
  epoch      bigint      not null default 0,
  expires_at timestamptz not null default now(),
  constraint relay_shards_pkey primary key (shard),
  constraint relay_shards_known check (shard between 0 and 63)
) with (fillfactor = 50);
insert into relay_shards (shard) select generate_series(0, 63);
-- The planner must know that a shard is one row in 64 before autovacuum looks at so small a table.
analyze relay_shards;

-- Who is alive, so that each relay can compute its fair share, also before it owns anything.
create table relays (
  name         text        not null,
  started_at   timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  constraint relays_pkey primary key (name)
);

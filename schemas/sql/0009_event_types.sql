-- Event types as a resource: what `data` must look like, the topic, how long data is kept.
--
-- Retention removes data, never identity: (source, external_id), the hash and the dedupe rows stay for ever, else a
-- late duplicate would be accepted as new and take effect a second time. Such an event says payload_expired_at, its
-- payload is null, and a backtest or replay reports that it could not be reconstructed. Only a finished event is
-- emptied: what still waits, or has a dead letter that somebody may redrive, needs its data. With the event go the
-- copies in its receipts and dead letters; those in the outbox and in Kafka go with the retention of their own.

alter table event_types
  add column data_schema    json,                             -- json, not jsonb: given back as it was written
  add column topic          text,                             -- null: the topic for events of the deployment
  add column retention_days integer,                          -- null: for ever
  add column revision       bigint      not null default 1,   -- the ETag: the rulebook's version of the last change
  add column created_at     timestamptz not null default now(),
  add column updated_at     timestamptz not null default now(),
  add column expired_to     uuid        not null default '00000000-0000-0000-0000-000000000000',
  add constraint event_types_topic_bounded check (topic ~ '^[a-zA-Z0-9._-]{1,200}$'),
  add constraint event_types_retention_bounded check (retention_days between 1 and 36500),
  add constraint event_types_schema_bounded check (octet_length(data_schema::text) <= 65536),
  add constraint event_types_name_bounded check (char_length(event_type) between 1 and 200);

alter table events add column payload_expired_at timestamptz;

-- Events that were old enough when retention came by but not finished: it looks at them again, an hour later each time.
create table unexpired_events (
  event_id   uuid        not null,
  event_type text        not null,
  looked_at  timestamptz not null default now(),
  constraint unexpired_events_pkey primary key (event_id),
  constraint unexpired_events_event_fkey foreign key (event_id) references events (id)
);
create index unexpired_events_by_age on unexpired_events (event_type, looked_at);

-- The least UUIDv7 of this age: ids are in order of arrival, so an age is a range of ids. Nothing is older than 1970.
create function uuid_of_age(days integer) returns uuid language sql stable as $$
  select (lpad(to_hex(greatest(0, extract(epoch from now() - make_interval(days => days)) * 1000)::bigint), 12, '0')
    || repeat('0', 20))::uuid
$$;

-- Looks at the next events of a type that are older than its retention, in the order of their ids (events_by_type),
-- and at those that were not finished an hour ago; empties what is finished and says how many events it looked at.
-- The api has no right to change a payload: this is the one way, and it only empties what is due. Each event is
-- passed once, because expired_to moves on over all that was looked at and what was not finished is noted.
-- The type's row is locked: one caller at a time, and another one does not wait but gets 0.
create function expire_payloads(type_name text, rows_max integer) returns integer
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  settings public.event_types;
  looked uuid[];
  again uuid[];
  finished uuid[];
begin
  if rows_max not between 1 and 10000 then
    raise exception 'rows_max must be 1 to 10000, not %', rows_max;
  end if;
  select * into settings from public.event_types t where t.event_type = type_name for update skip locked;
  if settings.retention_days is null then
    return 0;
  end if;

  looked := array(
    select e.id from public.events e
    where e.event_type = type_name and e.id > settings.expired_to
      and e.id < public.uuid_of_age(settings.retention_days)
    order by e.id limit rows_max);
  again := array(
    select u.event_id from public.unexpired_events u
    where u.event_type = type_name and u.looked_at < now() - interval '1 hour'
      and u.event_id < public.uuid_of_age(settings.retention_days)
    order by u.looked_at limit rows_max);

  -- The rows are locked while they are judged: what is being replayed or redriven at this moment counts as unfinished.
  finished := array(
    select e.id from public.events e
    where e.id = any(looked || again) and e.status in ('processed', 'failed')
      and not exists (
        select from public.dead_letters d
        where d.event_id = e.id and d.state in ('open', 'redrive_requested', 'discard_requested'))
    for no key update of e skip locked);

  update public.events e set payload = 'null', payload_expired_at = now()
  where e.id = any(finished) and e.payload_expired_at is null;
  update public.event_receipts r set payload = 'null' where r.event_id = any(finished);
  update public.dead_letters d set payload = null where d.event_id = any(finished);

  delete from public.unexpired_events u where u.event_id = any(finished);
  update public.unexpired_events u set looked_at = now() where u.event_id = any(again);
  insert into public.unexpired_events (event_id, event_type)
  select id, type_name from (select unnest(looked) except select unnest(finished)) as waiting (id)
  on conflict (event_id) do nothing;
  update public.event_types t set expired_to = looked[cardinality(looked)]
  where t.event_type = type_name and cardinality(looked) > 0;
  return cardinality(looked) + cardinality(again);
end $$;

revoke all on function uuid_of_age(integer), expire_payloads(text, integer) from public;
grant execute on function expire_payloads(text, integer) to oncely_api;
grant select on unexpired_events to oncely_reader;
grant insert, delete,
  update (key_policy, retry_limit, processing_timeout_ms, data_schema, topic, retention_days, revision, updated_at)
  on event_types to oncely_api;

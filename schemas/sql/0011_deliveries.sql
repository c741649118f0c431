-- Deliveries: what a rule sends to the outside, as a ledger.
--
-- A delivery is a row of the transaction that applies its event: unique for (event, rule, action key, replay scope), so
-- neither a redelivered record nor an edited rule nor a replay makes a second one; only a forced replay has a scope of
-- its own. The dispatcher (python -m services.consumer dispatch) sends it outside of any transaction, under the same id
-- each time, and records what it learned: confirmed, failed, or unknown (it may have arrived).
--
-- The row of a delivery is narrow, because it is written several times; what is sent is written once, in
-- delivery_requests. That an attempt is under way is told by state = 'sending' with the attempt's number; its row in
-- delivery_attempts is written when it is over, by whoever sent it, or as unknown by whoever found its lease expired.

create table targets (
  id              uuid        not null,
  name            text        not null,
  url             text        not null,
  headers_sealed  bytea,                              -- JSON object of texts, encrypted (SECRETS_KEY): write-only
  header_names    text[]      not null default '{}',
  timeout_ms      integer     not null default 15000,
  rate_per_second double precision,                             -- null: as fast as in_flight_max allows
  in_flight_max   smallint    not null default 10,
  revision        integer     not null default 1,     -- the ETag
  disabled_at     timestamptz,
  disabled_reason text,
  archived_at     timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  constraint targets_pkey primary key (id),
  constraint targets_name_bounded check (char_length(name) between 1 and 200),
  constraint targets_url_bounded check (char_length(url) between 1 and 2000),
  constraint targets_timeout_bounded check (timeout_ms between 100 and 60000),
  constraint targets_rate_bounded check (rate_per_second between 0.01 and 10000),
  constraint targets_in_flight_bounded check (in_flight_max between 1 and 1000),
  constraint targets_disabled_says_why check ((disabled_at is null) = (disabled_reason is null))
);
create unique index targets_once_by_name on targets (name) where archived_at is null;

-- The secrets that sign, newest first; an older one goes on signing beside the newest until it expires (rotation).
create table target_secrets (
  id         bigint generated always as identity,
  target_id  uuid        not null,
  sealed     bytea       not null,                    -- encrypted (SECRETS_KEY)
  created_at timestamptz not null default now(),
  expires_at timestamptz,                             -- null: the present one
  constraint target_secrets_pkey primary key (id),
  constraint target_secrets_target_fkey foreign key (target_id) references targets (id)
);
create unique index target_secrets_one_present on target_secrets (target_id) where expires_at is null;
create index target_secrets_by_target on target_secrets (target_id, id desc);

-- Whom deliveries go to, as far as load is concerned: 'target/<id>', the origin of a plain URL ('https://host:443'),
-- or 'email'. Limits, circuit breaker and turn are shared by all dispatchers: they are kept here, under the row's lock.
-- Breaker: closed while open_until is null; open until then; afterwards half open, one probe at a time, which closes it
-- or opens it again.
create table destinations (
  name         text        not null,
  target_id    uuid,
  failures     integer     not null default 0,        -- in a row
  open_until   timestamptz,
  paused_until timestamptz,                           -- Retry-After
  tokens       double precision not null default 0,   -- of the rate, as of refilled_at
  refilled_at  timestamptz not null default now(),
  claimed_at   timestamptz not null default '-infinity',
  answered_at  timestamptz not null default '-infinity',   -- give or take a minute
  constraint destinations_pkey primary key (name),
  constraint destinations_target_fkey foreign key (target_id) references targets (id)
) with (fillfactor = 50);

create table deliveries (
  id               uuid        not null,              -- UUIDv7; the webhook-id and the Message-ID
  event_id         uuid        not null,
  event_type       text        not null,
  rule_id          uuid        not null,
  version_id       bigint      not null,
  action_key       text        not null,
  replay_scope     integer     not null default 0,    -- 0, or the number of the replay that forced it
  replay           integer     not null default 0,    -- in which run of the event it was made
  repeats_id       uuid,                              -- forced: the delivery of scope 0 that it repeats
  kind             text        not null,
  destination      text        not null,
  target_id        uuid,
  traceparent      text        not null,
  state            text        not null default 'pending',
  reason           text,                              -- why it was skipped, or what a person resolved it with
  attempt_no       integer     not null default 0,    -- attempts begun
  schedule_from    integer     not null default 0,    -- attempts before the last retry by hand: the schedule begins anew
  unknown_attempts integer     not null default 0,
  next_attempt_at  timestamptz,
  leased_by        text,
  sending_since    timestamptz,
  lease_expires_at timestamptz,
  last_status      smallint,
  last_error       text,
  created_at       timestamptz not null default now(),
  finished_at      timestamptz,
  constraint deliveries_pkey primary key (id),
  constraint deliveries_once unique (event_id, rule_id, action_key, replay_scope),
  constraint deliveries_target_fkey foreign key (target_id) references targets (id),
  constraint deliveries_kind_known check (kind in ('webhook', 'email')),
  constraint deliveries_state_known check (
    state in ('pending', 'sending', 'confirmed', 'failed', 'unknown', 'skipped')
  ),
  constraint deliveries_pending_has_its_time check ((state = 'pending') = (next_attempt_at is not null)),
  constraint deliveries_sending_is_leased check (
    (state = 'sending') = (leased_by is not null) and (state = 'sending') = (lease_expires_at is not null)
    and (state = 'sending') = (sending_since is not null)
  ),
  constraint deliveries_over_when_finished check (
    (state in ('confirmed', 'failed', 'unknown', 'skipped')) = (finished_at is not null)
  ),
  constraint deliveries_skipped_says_why check (state <> 'skipped' or reason is not null),
  constraint deliveries_reason_bounded check (char_length(reason) <= 1000),
  constraint deliveries_error_bounded check (char_length(last_error) <= 1000)
) with (fillfactor = 60);
create index deliveries_due on deliveries (destination, next_attempt_at) where state = 'pending';
create index deliveries_sending on deliveries (destination, lease_expires_at) where state = 'sending';
create index deliveries_not_confirmed on deliveries (state, id desc) where state <> 'confirmed';
create index deliveries_by_rule on deliveries (rule_id, id desc);
create index deliveries_by_destination on deliveries (destination, id desc);

create table delivery_edges (
  from_state text not null,
  to_state   text not null,
  constraint delivery_edges_pkey primary key (from_state, to_state)
);
insert into delivery_edges (from_state, to_state) values
  ('pending', 'sending'), ('pending', 'skipped'), ('pending', 'unknown'),
  ('sending', 'confirmed'), ('sending', 'failed'), ('sending', 'unknown'), ('sending', 'pending'), ('sending', 'skipped'),
  ('failed', 'pending'), ('unknown', 'pending'), ('skipped', 'pending'),   -- a retry by hand
  ('unknown', 'confirmed'), ('unknown', 'failed');                         -- resolved by a person
create function refuse_delivery_edge() returns trigger language plpgsql as $$
begin
  raise exception 'delivery %: the edge % -> % is not legal', new.id, old.state, new.state
    using errcode = 'check_violation', constraint = 'deliveries_edge_legal';
end $$;
create trigger deliveries_edge_legal after update of state on deliveries
  for each row when (
    old.state <> new.state
    and (old.state || '>' || new.state) not in (
      'pending>sending', 'pending>skipped', 'pending>unknown', 'sending>confirmed', 'sending>failed', 'sending>unknown', 'sending>pending',
      'sending>skipped', 'failed>pending', 'unknown>pending', 'skipped>pending', 'unknown>confirmed', 'unknown>failed')
  ) execute function refuse_delivery_edge();

-- What is sent, the same bytes at each attempt: {"method", "url", "headers", "body"} (url null: the target's), or
-- {"to", "subject", "body"}. json and not jsonb: the order of members stays. Emptied by retention (the row goes).
create table delivery_requests (
  delivery_id uuid not null,
  request     json not null,
  constraint delivery_requests_pkey primary key (delivery_id),
  constraint delivery_requests_delivery_fkey foreign key (delivery_id) references deliveries (id)
);

create table delivery_attempts (
  delivery_id   uuid        not null,
  attempt_no    integer     not null,
  outcome       text        not null,
  status_code   smallint,
  error_class   text,
  error_message text,
  url           text,                                 -- where it went; null where it is a mail
  address       text,                                 -- the address that was connected to
  dns_ms        real,
  connect_ms    real,
  tls_ms        real,
  first_byte_ms real,
  total_ms      real,
  response_head text,                                 -- status line and headers, capped
  response_body text,                                 -- its beginning, capped
  late_answer   text,                                 -- what came after the lease had ended
  injected      boolean     not null default false,
  dispatcher    text        not null,
  started_at    timestamptz not null,
  finished_at   timestamptz not null default clock_timestamp(),
  constraint delivery_attempts_pkey primary key (delivery_id, attempt_no),
  constraint delivery_attempts_delivery_fkey foreign key (delivery_id) references deliveries (id),
  constraint delivery_attempts_outcome_known check (outcome in ('confirmed', 'failed', 'unknown')),
  constraint delivery_attempts_says_why check ((outcome = 'confirmed') = (error_class is null)),
  constraint delivery_attempts_no_positive check (attempt_no >= 1),
  constraint delivery_attempts_head_capped check (octet_length(response_head) <= 16384),
  constraint delivery_attempts_body_capped check (octet_length(response_body) <= 16384)
);

-- A delivery that is given up is a dead letter too; it has no record in a topic.
alter table dead_letters
  alter column topic drop not null,
  add column delivery_id uuid,
  add constraint dead_letters_delivery_fkey foreign key (delivery_id) references deliveries (id) not valid,
  add constraint dead_letters_name_their_place check (
    (stage = 'delivery') = (delivery_id is not null) and (stage = 'delivery') = (topic is null)
  ) not valid;                                        -- 0014 looks at the rows, under a lock that lets others write
create unique index dead_letters_once_per_delivery on dead_letters (delivery_id)
  where stage = 'delivery' and state in ('open', 'redrive_requested', 'discard_requested');
-- The few that somebody has to look at, among all that ever were: counted, and acted on in bulk, oldest first.
create index dead_letters_open on dead_letters (id) where state = 'open';

-- Retention (0009) also removes what deliveries sent and were answered; an event whose delivery is under way is not finished.
create or replace function expire_payloads(type_name text, rows_max integer) returns integer
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
      and not exists (
        select from public.deliveries v where v.event_id = e.id and v.state in ('pending', 'sending'))
    for no key update of e skip locked);

  update public.events e set payload = 'null', payload_expired_at = now()
  where e.id = any(finished) and e.payload_expired_at is null;
  update public.event_receipts r set payload = 'null' where r.event_id = any(finished);
  update public.dead_letters d set payload = null where d.event_id = any(finished);
  delete from public.delivery_requests q using public.deliveries v
  where v.event_id = any(finished) and q.delivery_id = v.id;
  -- A URL or an answer may repeat what was sent.
  update public.delivery_attempts a
  set url = null, error_message = null, response_head = null, response_body = null
  from public.deliveries v
  where v.event_id = any(finished) and a.delivery_id = v.id;
  update public.deliveries v set last_error = null where v.event_id = any(finished) and v.last_error is not null;

  delete from public.unexpired_events u where u.event_id = any(finished);
  update public.unexpired_events u set looked_at = now() where u.event_id = any(again);
  insert into public.unexpired_events (event_id, event_type)
  select id, type_name from (select unnest(looked) except select unnest(finished)) as waiting (id)
  on conflict (event_id) do nothing;
  update public.event_types t set expired_to = looked[cardinality(looked)]
  where t.event_type = type_name and cardinality(looked) > 0;
  return cardinality(looked) + cardinality(again);
end $$;

-- What the deliveries of an event make of it, once its present run is applied. The one place that says so; consumer,
-- dispatcher and api hold the event's row lock and ask in a statement of its own, so that each sees what the one before
-- has committed. A delivery that was given up counts no more when a forced replay's repetition of it is confirmed.
create function delivery_verdict(of_event uuid) returns text language sql stable as $$
  select case
    when bool_or(d.state in ('pending', 'sending')) then 'processing'
    when bool_or(d.state in ('failed', 'unknown') and not exists (
      select from deliveries c
      where c.event_id = d.event_id and c.repeats_id = d.id and c.state = 'confirmed')) then 'failed'
    else 'processed' end
  from deliveries d
  where d.event_id = of_event
$$;
revoke all on function delivery_verdict(uuid) from public;

-- An event is processing while its deliveries are under way, also when one of them is retried by hand later.
drop trigger events_edge_legal on events;
insert into event_edges (from_status, to_status) values ('processed', 'processing'), ('failed', 'processing');
create trigger events_edge_legal after update of status on events
  for each row when (
    old.status <> new.status
    and (old.status || '>' || new.status) not in (
      'pending>processing', 'pending>processed', 'pending>failed', 'processing>processed', 'processing>failed',
      'processed>pending', 'failed>pending', 'processed>processing', 'failed>processing')
  ) execute function refuse_edge();

-- The dispatcher's role, made as in 0007.
do $$
declare setting text;
begin
  if not exists (select from pg_roles where rolname = 'oncely_dispatcher') then
    create role oncely_dispatcher login noinherit;
  end if;
  grant oncely_dispatcher to current_user;
  execute format('grant connect on database %I to oncely_dispatcher', current_database());
  foreach setting in array array['search_path = public', 'statement_timeout = 30000', 'lock_timeout = 5000',
                                 'idle_in_transaction_session_timeout = 30000'] loop
    execute format('alter role oncely_dispatcher in database %I set %s', current_database(), setting);
  end loop;
end $$;
grant usage on schema public to oncely_dispatcher;
revoke all on function refuse_delivery_edge() from public;
grant execute on function refuse_delivery_edge() to oncely_api, oncely_dispatcher;
grant execute on function refuse_edge(), refuse_change() to oncely_dispatcher;
grant execute on function delivery_verdict(uuid) to oncely_api, oncely_consumer, oncely_dispatcher, oncely_reader;

grant select (
  id, name, url, header_names, timeout_ms, rate_per_second, in_flight_max, revision, disabled_at, disabled_reason,
  archived_at, created_at, updated_at
) on targets to oncely_reader;
grant select on destinations, deliveries, delivery_edges, delivery_requests, delivery_attempts to oncely_reader;
grant select (id, target_id, created_at, expires_at) on target_secrets to oncely_reader;

grant select on schema_migrations, processed_events, delivery_requests, targets, target_secrets, fault_rules, fault_state
  to oncely_dispatcher;
grant select (id, aggregate_id, event_type, status), update (status) on events to oncely_dispatcher;
grant select, update (
  state, reason, attempt_no, schedule_from, unknown_attempts, next_attempt_at, leased_by, sending_since,
  lease_expires_at, last_status, last_error, finished_at
) on deliveries to oncely_dispatcher;
grant select, insert, update (late_answer) on delivery_attempts to oncely_dispatcher;
grant select, update (failures, open_until, paused_until, tokens, refilled_at, claimed_at, answered_at) on destinations
  to oncely_dispatcher;
grant update (disabled_at, disabled_reason, revision, updated_at) on targets to oncely_dispatcher;
grant select, insert, update (state, resolved_at, attempts) on dead_letters to oncely_dispatcher;
grant insert on audit_log to oncely_dispatcher;
grant select, insert on fault_hits to oncely_dispatcher;
grant select, insert, update on fault_seen to oncely_dispatcher;

grant select, insert on deliveries, destinations to oncely_consumer;
grant insert on delivery_requests to oncely_consumer;
grant select (id, name, disabled_at, disabled_reason, archived_at) on targets to oncely_consumer;

grant select on delivery_edges, delivery_requests, delivery_attempts to oncely_api;
grant update (resolved_at) on dead_letters to oncely_api;   -- of the stage delivery: retried or resolved by hand
grant select, update (state, reason, next_attempt_at, schedule_from, finished_at) on deliveries to oncely_api;
grant select, update (failures, open_until, paused_until) on destinations to oncely_api;
-- What is sealed the api writes and never reads.
grant select (
  id, name, url, header_names, timeout_ms, rate_per_second, in_flight_max, revision, disabled_at, disabled_reason,
  archived_at, created_at, updated_at
), insert, update (
  name, url, headers_sealed, header_names, timeout_ms, rate_per_second, in_flight_max, revision, disabled_at,
  disabled_reason, archived_at, updated_at
) on targets to oncely_api;
grant select (id, target_id, created_at, expires_at), insert, update (expires_at) on target_secrets to oncely_api;

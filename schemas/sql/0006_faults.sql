-- Fault injection: what is broken on purpose, who has seen it, and every hit.
-- Only the role oncely_faults writes fault_rules, and only an api with faults enabled takes that role.

create table fault_rules (
  knob       text        not null,
  mode       text        not null,      -- e.g. 'true', 'after_ack', 'raise@relay.after_ack_before_mark', '3'
  match      jsonb       not null default '{}',
  max_hits   integer,
  seed       integer     not null default 0,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  constraint fault_rules_pkey primary key (knob),
  constraint fault_rules_knob_known check (
    knob in ('successOnAttempt', 'breakBroker', 'breakWorker', 'breakConsumer', 'duplicateEvents')
  ),
  constraint fault_rules_always_expire check (expires_at <= created_at + interval '900 seconds'),
  constraint fault_rules_max_hits_positive check (max_hits >= 1)
);

-- One row: raised with every change, so that a service can say which state it has seen.
create table fault_state (
  only_row boolean not null default true,
  version  bigint  not null default 0,
  constraint fault_state_pkey primary key (only_row),
  constraint fault_state_has_one_row check (only_row)
);
insert into fault_state default values;

create table fault_seen (
  service      text        not null,
  instance     text        not null,
  seen_version bigint      not null,
  active       jsonb       not null default '[]',
  seen_at      timestamptz not null default now(),
  constraint fault_seen_pkey primary key (service, instance)
) with (fillfactor = 50);

create table fault_hits (
  id           bigint generated always as identity,
  knob         text        not null,
  service      text        not null,
  instance     text        not null,
  failpoint    text        not null,
  aggregate_id text,
  hit_at       timestamptz not null default now(),
  constraint fault_hits_pkey primary key (id)
);
create index fault_hits_by_knob on fault_hits (knob, hit_at);
create trigger fault_hits_append_only before update or delete on fault_hits
  for each row execute function refuse_change();

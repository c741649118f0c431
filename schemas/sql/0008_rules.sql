-- Rules: what shall happen when an event of a type arrives and its data satisfies a condition.
--
-- A rule is a name with versions. A version never changes but for its state: draft -> shadow -> published -> retired
-- (each step may be left out). At most one version of a rule is published and acts; at most one more is in shadow:
-- it is evaluated on live events and acts on nothing. A rule that is not active, or archived, is not evaluated.
--
-- What the consumer writes is sparse: a row in rule_executions for each version that applied or failed, and one row
-- in rule_skips per attempt with all versions that did not match. With 1,000 rules on a type nearly all are skipped,
-- and a row each would cost more than the whole rest of the event.

create table rules (
  id          uuid        not null,
  name        text        not null,
  active      boolean     not null default true,
  revision    integer     not null default 1,   -- the ETag: raised with every change of the rule or its versions
  archived_at timestamptz,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  constraint rules_pkey primary key (id),
  constraint rules_name_bounded check (char_length(name) between 1 and 200),
  constraint rules_revision_positive check (revision >= 1)
);
create index rules_present on rules (id desc) where archived_at is null;

create table rule_versions (
  id             bigint generated always as identity,
  rule_id        uuid        not null,
  version        integer     not null,
  state          text        not null default 'draft',
  event_type     text        not null,   -- exact, or a pattern that ends in '*': 'payment.*', '*'
  condition      jsonb       not null,
  actions        jsonb       not null,
  engine         text        not null,
  engine_version text        not null,   -- what checked it; a difference to what runs it is reported
  note           text,
  created_at     timestamptz not null default now(),
  shadowed_at    timestamptz,
  published_at   timestamptz,
  retired_at     timestamptz,
  constraint rule_versions_pkey primary key (id),
  constraint rule_versions_once unique (rule_id, version),
  constraint rule_versions_rule_fkey foreign key (rule_id) references rules (id),
  constraint rule_versions_state_known check (state in ('draft', 'shadow', 'published', 'retired')),
  constraint rule_versions_engine_known check (engine in ('datalogic', 'json-logic-qubit')),
  constraint rule_versions_event_type_bounded check (char_length(event_type) between 1 and 200),
  constraint rule_versions_note_bounded check (char_length(note) <= 1000),
  constraint rule_versions_version_positive check (version >= 1)
);
create unique index rule_versions_one_published on rule_versions (rule_id) where state = 'published';
create unique index rule_versions_one_shadow on rule_versions (rule_id) where state = 'shadow';
create index rule_versions_live on rule_versions (event_type) where state in ('shadow', 'published');

-- A published version may be taken back to life later (a rollback is a publish of an old version).
create table rule_version_edges (
  from_state text not null,
  to_state   text not null,
  constraint rule_version_edges_pkey primary key (from_state, to_state)
);
insert into rule_version_edges (from_state, to_state) values
  ('draft', 'shadow'), ('draft', 'published'), ('draft', 'retired'),
  ('shadow', 'draft'), ('shadow', 'published'), ('shadow', 'retired'),
  ('published', 'retired'), ('retired', 'shadow'), ('retired', 'published');

create function keep_rule_version() returns trigger language plpgsql as $$
begin
  if (old.rule_id, old.version, old.event_type, old.condition, old.actions, old.engine, old.engine_version)
     is distinct from
     (new.rule_id, new.version, new.event_type, new.condition, new.actions, new.engine, new.engine_version) then
    raise exception 'a rule version never changes' using errcode = 'integrity_constraint_violation';
  end if;
  return new;
end $$;
-- refuse_edge() speaks of a column status; here the column is state.
create function refuse_version_edge() returns trigger language plpgsql as $$
begin
  raise exception 'rule version %: the edge % -> % is not legal', new.id, old.state, new.state
    using errcode = 'check_violation', constraint = 'rule_versions_edge_legal';
end $$;
create trigger rule_versions_immutable before update on rule_versions
  for each row execute function keep_rule_version();
create trigger rule_versions_edge_legal after update of state on rule_versions
  for each row when (
    old.state <> new.state
    and (old.state || '>' || new.state) not in (
      'draft>shadow', 'draft>published', 'draft>retired', 'shadow>draft', 'shadow>published', 'shadow>retired',
      'published>retired', 'retired>shadow', 'retired>published')
  ) execute function refuse_version_edge();

-- One row: raised in the transaction of every change that evaluation can see (rules, versions, event types), so that
-- a consumer knows by one read whether its rules are the present ones.
create table rulebook_state (
  only_row boolean not null default true,
  version  bigint  not null default 1,
  constraint rulebook_state_pkey primary key (only_row),
  constraint rulebook_state_has_one_row check (only_row)
);
insert into rulebook_state default values;

-- Which state each consumer (and api) evaluates with; each writes its own row and no other.
create table rulebook_readers (
  reader       text        not null,
  service      text        not null,
  seen_version bigint      not null,
  rules        integer,                        -- null: an api, which evaluates only when it is asked
  seen_at      timestamptz not null default now(),
  constraint rulebook_readers_pkey primary key (reader),
  constraint rulebook_readers_service_known check (service in ('api', 'consumer'))
) with (fillfactor = 50);

-- A version that went over its budget again and again is evaluated no more until somebody publishes or resumes.
create table rule_suspensions (
  id           bigint generated always as identity,
  version_id   bigint      not null,
  reason       text        not null,
  consumer     text        not null,
  suspended_at timestamptz not null default now(),
  resumed_at   timestamptz,
  constraint rule_suspensions_pkey primary key (id),
  constraint rule_suspensions_version_fkey foreign key (version_id) references rule_versions (id)
);
create unique index rule_suspensions_once on rule_suspensions (version_id) where resumed_at is null;

-- What applied or failed. A shadow version's rows say shadow = true; it acted on nothing.
create table rule_executions (
  event_id    uuid        not null,
  replay      integer     not null,
  attempt_no  integer     not null,
  version_id  bigint      not null,
  result      text        not null,
  shadow      boolean     not null,
  error_class text,
  reason      text,
  duration_us real        not null,
  executed_at timestamptz not null default now(),
  constraint rule_executions_pkey primary key (event_id, replay, attempt_no, version_id),
  constraint rule_executions_result_known check (result in ('applied', 'failed', 'deduped')),
  constraint rule_executions_failed_says_why check ((result = 'failed') = (error_class is not null)),
  constraint rule_executions_reason_bounded check (char_length(reason) <= 1000)
);
create index rule_executions_by_version on rule_executions (version_id, event_id desc);
create trigger rule_executions_append_only before update or delete on rule_executions
  for each row execute function refuse_change();

-- What did not match: parallel arrays, one place per version.
create table rule_skips (
  event_id     uuid        not null,
  replay       integer     not null,
  attempt_no   integer     not null,
  version_ids  bigint[]    not null,
  shadows      boolean[]   not null,
  durations_us real[]      not null,
  constraint rule_skips_pkey primary key (event_id, replay, attempt_no),
  constraint rule_skips_arrays_are_parallel check (
    cardinality(version_ids) = cardinality(durations_us) and cardinality(version_ids) = cardinality(shadows)
  )
);
create trigger rule_skips_append_only before update or delete on rule_skips
  for each row execute function refuse_change();

-- Rights of this file's tables (0007_roles.sql says what a role may do in general).
grant select on rules, rule_versions, rule_version_edges, rulebook_state, rulebook_readers, rule_suspensions,
  rule_executions, rule_skips to oncely_reader;
revoke all on function keep_rule_version(), refuse_version_edge() from public;
grant execute on function keep_rule_version(), refuse_version_edge() to oncely_api;
grant select, insert, update (name, active, revision, archived_at, updated_at) on rules to oncely_api;
grant select, insert, update (state, shadowed_at, published_at, retired_at) on rule_versions to oncely_api;
grant select on rule_version_edges, rule_executions, rule_skips to oncely_api;
grant select, update (version) on rulebook_state to oncely_api;
grant select, insert, update, delete on rulebook_readers to oncely_api;
grant select, update (resumed_at) on rule_suspensions to oncely_api;
grant select on rules, rule_versions, rulebook_state to oncely_consumer;
grant select, insert, update, delete on rulebook_readers to oncely_consumer;
grant select, insert on rule_suspensions, rule_executions, rule_skips to oncely_consumer;

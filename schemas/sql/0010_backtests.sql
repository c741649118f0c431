-- Backtests: a candidate version against the published one over past events, as a job that survives its runner.
--
-- The runner walks the events type by type, each by id, and writes its position (type, id) with its counts in one
-- statement, so whoever goes on after a crash counts every event once. One runner per job: heartbeat_at is its lease,
-- by the database's clock, and runner its fencing token.

create table backtests (
  id                uuid        not null,
  rule_id           uuid        not null,
  candidate_id      bigint      not null,
  baseline_id       bigint,               -- null: nothing was published, so everything is gained
  received_after    timestamptz,
  received_before   timestamptz not null, -- absolute: what arrives while it runs is not looked at
  events_max        bigint      not null,
  state             text        not null default 'queued',
  cancel_requested  boolean     not null default false,
  runner            text,
  runs              smallint    not null default 0,   -- runners that began and got no page done; 3 end the job
  heartbeat_at      timestamptz,
  first_id          uuid,                 -- the oldest event that is looked at: events_max counts from the newest
  position_type     text,
  position_id       uuid,
  total             bigint,
  examined          bigint      not null default 0,
  not_reconstructed bigint      not null default 0,
  both_matched      bigint      not null default 0,
  neither_matched   bigint      not null default 0,
  gained            bigint      not null default 0,
  lost              bigint      not null default 0,
  changed           bigint      not null default 0,
  candidate_errors  bigint      not null default 0,
  baseline_errors   bigint      not null default 0,
  error             text,
  created_at        timestamptz not null default now(),
  started_at        timestamptz,
  finished_at       timestamptz,
  constraint backtests_pkey primary key (id),
  constraint backtests_rule_fkey foreign key (rule_id) references rules (id),
  constraint backtests_candidate_fkey foreign key (candidate_id) references rule_versions (id),
  constraint backtests_baseline_fkey foreign key (baseline_id) references rule_versions (id),
  constraint backtests_state_known check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
  constraint backtests_events_max_bounded check (events_max between 1 and 100000000),
  constraint backtests_position_is_whole check ((position_type is null) = (position_id is null)),
  constraint backtests_changed_both_match check (changed <= both_matched),
  constraint backtests_counts_fit check (
    not_reconstructed + both_matched + neither_matched + gained + lost <= examined
  ),
  constraint backtests_failed_says_why check ((state = 'failed') = (error is not null)),
  constraint backtests_ended_when_over check ((state in ('queued', 'running')) = (finished_at is null))
);
create index backtests_by_rule on backtests (rule_id, id desc);
create index backtests_unfinished on backtests (id) where state in ('queued', 'running');

-- The first events of each kind; how many there are is in the counts.
create table backtest_examples (
  backtest_id uuid not null,
  kind        text not null,
  event_id    uuid not null,
  detail      jsonb not null default '{}',
  constraint backtest_examples_pkey primary key (backtest_id, kind, event_id),
  constraint backtest_examples_backtest_fkey foreign key (backtest_id) references backtests (id),
  constraint backtest_examples_kind_known check (
    kind in ('gained', 'lost', 'changed', 'candidate_error', 'baseline_error', 'not_reconstructed')
  )
);

grant select on backtests, backtest_examples to oncely_reader;
grant select, insert, update (
  state, cancel_requested, runner, runs, heartbeat_at, first_id, position_type, position_id, total, examined,
  not_reconstructed, both_matched, neither_matched, gained, lost, changed, candidate_errors, baseline_errors, error,
  started_at, finished_at
) on backtests to oncely_api;
grant select, insert on backtest_examples to oncely_api;

-- Presence: what the services that leave no other sign of life say of themselves, for the overview.
--
-- Relays have their row for the fair share, consumers and apis theirs in rulebook_readers. A dispatcher writes its own
-- here, once a second, with how many deliveries it saw confirmed since it began: a rate without counting the ledger.

create table dispatchers (
  name         text        not null,   -- new for each run of a process
  started_at   timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(),
  confirmed    bigint      not null default 0,
  constraint dispatchers_pkey primary key (name),
  constraint dispatchers_confirmed_not_negative check (confirmed >= 0)
) with (fillfactor = 50);

-- What the relay's producer knows of the broker, as of its heartbeat.
alter table relays add column broker_away boolean not null default false;

grant select on dispatchers to oncely_reader, oncely_api;
grant select, insert, update, delete on dispatchers to oncely_dispatcher;

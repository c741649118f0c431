-- Idempotency keys and the audit log.

-- The stored answer of a POST that carried an Idempotency-Key, written in the transaction of its effect: either
-- both exist or neither does.
create table idempotency_keys (
  scope         text        not null,   -- method and route template, e.g. 'POST /orders'
  key           text        not null,
  request_hash  bytea       not null,
  status_code   smallint    not null,
  response_body bytea       not null,
  location      text,
  created_at    timestamptz not null default now(),
  constraint idempotency_keys_pkey primary key (scope, key),
  constraint idempotency_keys_key_bounded check (octet_length(key) between 1 and 255),
  constraint idempotency_keys_hash_is_sha256 check (octet_length(request_hash) = 32)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- Every administrative act. Append-only: no role has the right to change it, and the trigger says so to owners.
create table audit_log (
  id          bigint generated always as identity,
  actor       text        not null,
  action      text        not null,
  target      text        not null,
  detail      jsonb       not null default '{}',
  occurred_at timestamptz not null default now(),
  constraint audit_log_pkey primary key (id)
);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger audit_log_append_only before update or delete on audit_log
  for each row execute function refuse_change();
create trigger ledger_entries_append_only before update or delete on ledger_entries
  for each row execute function refuse_change();

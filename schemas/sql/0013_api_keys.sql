-- API keys: who may call the api, and for what (AUTH_MODE=keys).
--
-- A key is shown once, when it is made, and stored as its SHA-256 only: it is 32 random bytes, so there is nothing to
-- guess and a slow hash would protect nothing. A key's scopes, hash and end never change, and a revoked key stays
-- revoked: whoever needs other rights makes another key.

create table api_keys (
  id           uuid        not null,
  name         text        not null,             -- the audit log says key:<name>
  key_hash     bytea       not null,
  prefix       text        not null,             -- the key's first characters, to tell keys apart
  scopes       text[]      not null,
  created_at   timestamptz not null default now(),
  created_by   text        not null,
  expires_at   timestamptz,
  revoked_at   timestamptz,
  revoked_by   text,
  last_used_at timestamptz,                      -- within a minute or so
  constraint api_keys_pkey primary key (id),
  constraint api_keys_hash_once unique (key_hash),
  constraint api_keys_hash_is_sha256 check (octet_length(key_hash) = 32),
  constraint api_keys_name_readable check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  constraint api_keys_prefix_is_short check (char_length(prefix) = 8),
  constraint api_keys_scopes_known check (
    cardinality(scopes) > 0
    and scopes <@ array[
      'admin', 'dead-letters:write', 'deliveries:read', 'deliveries:write', 'event-types:write', 'events:read',
      'events:write', 'faults', 'metrics:read', 'orders:read', 'orders:write', 'replay', 'replay:force', 'rules:read',
      'rules:write', 'targets:write']
  ),
  constraint api_keys_end_after_their_start check (expires_at > created_at),
  constraint api_keys_revoked_by_somebody check ((revoked_at is null) = (revoked_by is null))
);
-- A name means one key that is in force, so that an audit row names one key.
create unique index api_keys_once_by_name on api_keys (name) where revoked_at is null;

-- One row: raised in the transaction of every change, so that an api knows by one read whether its keys are the
-- present ones.
create table api_keys_state (
  only_row boolean not null default true,
  version  bigint  not null default 1,
  constraint api_keys_state_pkey primary key (only_row),
  constraint api_keys_state_has_one_row check (only_row)
);
insert into api_keys_state default values;

create function keep_api_key_revoked() returns trigger language plpgsql as $$
begin
  raise exception 'key % is revoked for good', old.id
    using errcode = 'check_violation', constraint = 'api_keys_stay_revoked';
end $$;
create trigger api_keys_stay_revoked before update of revoked_at, revoked_by on api_keys
  for each row when (old.revoked_at is not null) execute function keep_api_key_revoked();

revoke all on function keep_api_key_revoked() from public;
grant execute on function keep_api_key_revoked() to oncely_api;
grant select, insert, update (revoked_at, revoked_by, last_used_at) on api_keys to oncely_api;
grant select, update (version) on api_keys_state to oncely_api;
grant select on api_keys_state to oncely_reader;
grant select (id, name, prefix, scopes, created_at, created_by, expires_at, revoked_at, revoked_by, last_used_at)
  on api_keys to oncely_reader;

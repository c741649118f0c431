-- One role per service with the rights that it needs and no more; tests/contracts/test_rights.py checks every
-- cell. Roles belong to the whole server, so they may exist already; passwords are set by the migrator
-- (ROLE_PASSWORD), never here. Nobody may delete: days of the outbox are dropped by the owner's functions.

do $$
declare role_name text;
begin
  foreach role_name in array array['oncely_api', 'oncely_relay', 'oncely_consumer', 'oncely_faults', 'oncely_reader'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I login noinherit', role_name);
    end if;
    -- So that an owner who is not a superuser can run the services under these roles (options=-c role=...).
    execute format('grant %I to current_user', role_name);
  end loop;
end $$;

alter role oncely_faults nologin;
grant oncely_faults to oncely_api;   -- noinherit: the api must take the role explicitly

do $$
begin
  execute format('revoke all on database %I from public', current_database());
  execute format('grant connect on database %I to oncely_api, oncely_relay, oncely_consumer, oncely_reader', current_database());
end $$;
revoke all on schema public from public;
grant usage on schema public to oncely_api, oncely_relay, oncely_consumer, oncely_faults, oncely_reader;
revoke all on all functions in schema public from public;
grant execute on function refuse_edge(), refuse_change() to oncely_api, oncely_relay, oncely_consumer, oncely_faults;

grant select on all tables in schema public to oncely_reader;
grant select on schema_migrations to oncely_api, oncely_relay, oncely_consumer;

-- api
grant select, insert, update (status, version, updated_at) on orders to oncely_api;
grant select, insert, update (status, received_count, replayed_at) on events to oncely_api;
grant select, insert, update (seen_count, last_seen_at) on event_receipts to oncely_api;
grant select on event_types, order_edges, event_edges to oncely_api;
grant select, insert on outbox to oncely_api;
grant select on relay_shards, relays, consumer_partitions, event_attempts, ledger_entries, dropped_records to oncely_api;
grant select, update (state, resolution_reason) on dead_letters to oncely_api;
grant select, insert, delete on idempotency_keys to oncely_api;
grant select, insert on audit_log to oncely_api;
grant select on fault_rules, fault_state, fault_seen, fault_hits to oncely_api;
grant insert on fault_hits to oncely_api;
grant insert, update on fault_seen to oncely_api;

-- relay
grant select, update (published_at, kafka_partition, kafka_offset, attempts, last_error, parked_at, discarded_at)
  on outbox to oncely_relay;
grant select, update on relay_shards to oncely_relay;
grant select, insert, update, delete on relays to oncely_relay;
grant select on event_types to oncely_relay;
grant select, insert, update (state, resolved_at) on dead_letters to oncely_relay;
grant insert on audit_log to oncely_relay;
grant select on fault_rules, fault_state to oncely_relay;
grant select, insert on fault_hits to oncely_relay;
grant select, insert, update on fault_seen to oncely_relay;
grant execute on function make_outbox_partitions(integer), drop_outbox_partitions(integer) to oncely_relay;

-- consumer
grant select, update (settled_at) on orders to oncely_consumer;
grant select, update (status) on events to oncely_consumer;
grant select on event_types to oncely_consumer;
grant select, insert on processed_events, dropped_records, event_attempts, ledger_entries to oncely_consumer;
grant select, insert, update, delete on waiting_events to oncely_consumer;
grant select, insert, update (state, resolved_at, attempts) on dead_letters to oncely_consumer;
grant select, insert, update on consumer_partitions to oncely_consumer;
grant insert on audit_log to oncely_consumer;
grant select on fault_rules, fault_state to oncely_consumer;
grant select, insert on fault_hits to oncely_consumer;
grant select, insert, update on fault_seen to oncely_consumer;

-- faults
grant select, insert, update, delete on fault_rules to oncely_faults;
grant select, update on fault_state to oncely_faults;
grant insert on audit_log to oncely_faults;

-- Bounds that hold even for a client that forgets its own, and a pinned search path.
do $$
declare
  role_name text;
  setting text;
begin
  foreach role_name in array array['oncely_api', 'oncely_relay', 'oncely_consumer', 'oncely_reader'] loop
    foreach setting in array array['search_path = public', 'statement_timeout = 30000', 'lock_timeout = 5000',
                                   'idle_in_transaction_session_timeout = 30000'] loop
      execute format('alter role %I in database %I set %s', role_name, current_database(), setting);
    end loop;
  end loop;
end $$;

-- Orders: the aggregate behind every `order.*` event.
--
-- `version` counts the commands that changed the order; it is also the aggregate_seq of the event that the
-- command wrote, so "order status = fold of its events" can be checked row by row.
-- `settled_at` belongs to the consumer: the moment at which it booked the order's latest ledger entries.
-- The legal edges stand in order_edges for people and tests, and in the trigger's WHEN for speed: a legal
-- update never calls a function.

create table orders (
  id          uuid        not null,
  customer_id text        not null,
  currency    text        not null,
  amount      bigint      not null,
  items       jsonb       not null default '[]',
  status      text        not null default 'created',
  version     integer     not null default 1,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  settled_at  timestamptz,
  constraint orders_pkey primary key (id),
  constraint orders_status_known check (status in ('created', 'paid', 'cancelled', 'refunded')),
  constraint orders_currency_is_iso_4217_shaped check (currency ~ '^[A-Z]{3}$'),
  constraint orders_amount_in_minor_units check (amount between 1 and 1000000000000000),
  constraint orders_version_positive check (version >= 1)
) with (fillfactor = 85);

-- The list by status is read newest first; ids are UUIDv7, so id order is creation order.
create index orders_by_status on orders (status, id desc);

create table order_edges (
  from_status text not null,
  to_status   text not null,
  constraint order_edges_pkey primary key (from_status, to_status)
);
insert into order_edges (from_status, to_status)
values ('created', 'paid'), ('created', 'cancelled'), ('paid', 'refunded');

create function refuse_edge() returns trigger language plpgsql as $$
begin
  raise exception '% %: the edge % -> % is not legal', tg_table_name, new.id, old.status, new.status
    using errcode = 'check_violation', constraint = tg_table_name || '_edge_legal';
end $$;

create trigger orders_edge_legal before update of status on orders
  for each row when (
    old.status <> new.status
    and (old.status || '>' || new.status) not in ('created>paid', 'created>cancelled', 'paid>refunded')
  ) execute function refuse_edge();

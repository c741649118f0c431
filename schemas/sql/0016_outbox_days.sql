-- A day that has begun without its partition: its rows stand in outbox_default, and Postgres refuses to make the
-- partition beside them. As in 0003, but such a day stays where it is, and the days after it get theirs; one refusal
-- stopped them all, and every relay with them.

create or replace function make_outbox_partitions(days_ahead integer) returns integer
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare
  first_day date := (now() at time zone 'utc')::date;
  starts_at date;
  made integer := 0;
begin
  if days_ahead not between 0 and 31 then
    raise exception 'days_ahead must be 0 to 31, not %', days_ahead;
  end if;
  perform pg_advisory_xact_lock(hashtext('oncely.outbox_partitions'));
  for day_no in 0..days_ahead loop
    starts_at := first_day + day_no;
    continue when to_regclass('public.' || quote_ident('outbox_' || to_char(starts_at, 'YYYYMMDD'))) is not null;
    begin
      execute format(
        'create table public.%I partition of public.outbox for values from (%L) to (%L) with (fillfactor = 50, '
        'autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0, '
        'autovacuum_vacuum_insert_threshold = 100000)',
        'outbox_' || to_char(starts_at, 'YYYYMMDD'), starts_at || ' 00:00+00', (starts_at + 1) || ' 00:00+00');
      made := made + 1;
    exception when check_violation then
      raise warning 'outbox_default holds rows of %: this day gets no partition', starts_at;
    end;
  end loop;
  return made;
end $$;

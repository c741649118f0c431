-- Looks at the rows that were there before 0011 and 0012, in a transaction of its own: adding the constraints had to lock
-- out everybody for a moment, looking at many rows need not.

alter table dead_letters validate constraint dead_letters_name_their_place;
alter table dead_letters validate constraint dead_letters_delivery_fkey;
alter table dropped_records validate constraint dropped_records_verdict_known;

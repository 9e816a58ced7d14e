-- Splitting and merging stops, what a stop said when an entry was stored, and which entry gave a stop its reason.
ALTER TABLE operator_entries DROP CONSTRAINT operator_entries_kind_check;
ALTER TABLE operator_entries ADD CONSTRAINT operator_entries_kind_check
    CHECK (kind IN ('reason', 'split', 'merge', 'scrap', 'production', 'note', 'undo'));
-- For people who read the history; derivations never read it, it depends on when the entry arrived.
ALTER TABLE operator_entries ADD COLUMN old_reason_code text;
CREATE INDEX operator_entries_undoes ON operator_entries (undoes) WHERE kind = 'undo';

ALTER TABLE downtime_events ADD COLUMN reason_entry text;
CREATE INDEX downtime_events_reason_entry ON downtime_events (reason_entry) WHERE reason_entry IS NOT NULL;

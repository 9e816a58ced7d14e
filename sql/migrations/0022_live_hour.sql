-- Parts of the last hour of the running shift, for the scrap rate of a rolling hour; 0 until the next tick writes them.
ALTER TABLE live_oee
    ADD COLUMN hour_good_count   numeric NOT NULL DEFAULT 0,
    ADD COLUMN hour_reject_count numeric NOT NULL DEFAULT 0;

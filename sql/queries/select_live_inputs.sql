-- What live figures depend on, as one short text: nothing has changed as long as it is the same. Whoever adds samples,
-- entries or orders leaves dirty marks or arrivals.
SELECT concat_ws(' ',
    (SELECT max(marked_at) FROM dirty_mark),
    (SELECT count(*) FROM arrival),
    (SELECT max(entry_id) FROM operator_entries),
    (SELECT max(last_synced) FROM work_orders)
) AS inputs

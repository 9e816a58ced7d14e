-- Production dates with time in [start, end) now, or when they were last reconciled.
SELECT production_date FROM machine_time WHERE starts_at >= %(start)s AND starts_at < %(end)s
UNION
SELECT production_date FROM reconciliation WHERE work_order = '' AND starts_at < %(end)s AND ends_at > %(start)s
ORDER BY production_date

-- What a machine's losses of a closed day cost now, and before: added up over its rows, which have revisions of their own.
INSERT INTO restatements (dataset, level, machine_id, period, time_bucket, shift, production_date, column_name,
                          old_value, new_value, old_revision, new_revision, cause)
SELECT 'losses', 'machine', %(machine_id)s, 'day', %(starts_at)s, NULL, %(production_date)s, 'cost',
       %(old_value)s, %(new_value)s, told.revision, told.revision + 1, %(cause)s
FROM (
    SELECT coalesce(max(new_revision), 1) AS revision
    FROM restatements
    WHERE dataset = 'losses' AND machine_id = %(machine_id)s AND production_date = %(production_date)s
) told

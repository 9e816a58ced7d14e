-- Tags of restored samples that the database does not know (any more).
INSERT INTO tag (machine_id, metric_name, native_code, unit, source)
SELECT machine_id, metric_name, native_code, max(unit), max(source)
FROM restoring r
WHERE NOT EXISTS (SELECT FROM tag t WHERE t.machine_id = r.machine_id AND t.metric_name = r.metric_name
                  AND t.native_code = r.native_code)
GROUP BY machine_id, metric_name, native_code
ORDER BY machine_id, metric_name, native_code
ON CONFLICT DO NOTHING

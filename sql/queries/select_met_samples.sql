-- Incoming samples that the store holds otherwise: another value, or the same one published earlier. Locked, so that
-- none changes before it is replaced. What was just inserted or sent again is the same and stays unlocked.
-- Without a time of publication a sample loses against one that has it. Of two published at the same time, or both
-- without it, the store's stays; but in one file (read at one time by our clock) the one further down wins, whether
-- both were read in one batch or in two.
SELECT i.tag_id, i.time, c.same, c.later,
       s.value AS old_value, s.value_text AS old_text, s.quality AS old_quality,
       s.time + s.published_lag_us * interval '1 microsecond' AS old_published_at
FROM incoming i
JOIN telemetry_sample s ON s.tag_id = i.tag_id AND s.time = i.time AND s.time BETWEEN %(first)s AND %(last)s
CROSS JOIN LATERAL (
    SELECT i.value IS NOT DISTINCT FROM s.value AND i.value_text IS NOT DISTINCT FROM s.value_text
               AND i.quality = s.quality AS same
) v
CROSS JOIN LATERAL (
    SELECT v.same,
           coalesce(i.published_lag_us, -9223372036854775808)
               > coalesce(s.published_lag_us, -9223372036854775808)
           OR (NOT v.same AND i.published_lag_us IS NOT DISTINCT FROM s.published_lag_us
               AND i.ingested_lag_us = s.ingested_lag_us) AS later
) c
WHERE c.later OR NOT c.same
ORDER BY i.tag_id, i.time
FOR UPDATE OF s

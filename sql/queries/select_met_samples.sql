-- Incoming samples whose tag and time are in the store: the same value, or another that was published later?
-- Without a time of publication a sample loses against one that has it; of two without it the store's stays.
SELECT i.tag_id, i.time,
       s.value AS old_value, s.value_text AS old_text, s.quality AS old_quality,
       s.time + s.published_lag_us * interval '1 microsecond' AS old_published_at,
       (i.value IS NOT DISTINCT FROM s.value OR (i.value = 'NaN' AND s.value = 'NaN'))
           AND i.value_text IS NOT DISTINCT FROM s.value_text AND i.quality = s.quality AS same,
       coalesce(i.published_lag_us, -9223372036854775808) > coalesce(s.published_lag_us, -9223372036854775808) AS later
FROM incoming i
JOIN telemetry_sample s ON s.tag_id = i.tag_id AND s.time = i.time
ORDER BY i.tag_id, i.time
FOR UPDATE OF s

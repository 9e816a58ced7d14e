-- What was published later wins. Published again with the same value, it keeps the later time of publication, so that
-- samples may arrive in any order. Published at the same time, what stands further down in the same file wins.
UPDATE telemetry_sample s
SET value = i.value, value_text = i.value_text, quality = i.quality,
    published_lag_us = i.published_lag_us, ingested_lag_us = i.ingested_lag_us
FROM incoming i
WHERE s.tag_id = i.tag_id AND s.time = i.time AND s.time BETWEEN %(first)s AND %(last)s
  AND (coalesce(i.published_lag_us, -9223372036854775808) > coalesce(s.published_lag_us, -9223372036854775808)
       OR (i.published_lag_us IS NOT DISTINCT FROM s.published_lag_us AND i.ingested_lag_us = s.ingested_lag_us
           AND (i.value, i.value_text, i.quality) IS DISTINCT FROM (s.value, s.value_text, s.quality)))

-- Another value of the same tag and time that was published later wins.
UPDATE telemetry_sample s
SET value = i.value, value_text = i.value_text, quality = i.quality,
    published_lag_us = i.published_lag_us, ingested_lag_us = i.ingested_lag_us
FROM incoming i
WHERE s.tag_id = i.tag_id AND s.time = i.time
  AND NOT ((i.value IS NOT DISTINCT FROM s.value OR (i.value = 'NaN' AND s.value = 'NaN'))
           AND i.value_text IS NOT DISTINCT FROM s.value_text AND i.quality = s.quality)
  AND coalesce(i.published_lag_us, -9223372036854775808) > coalesce(s.published_lag_us, -9223372036854775808)

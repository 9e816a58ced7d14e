-- A small batch and what it concerns in one statement, so in one round trip and one commit. Times are microseconds
-- since 1970 UTC. A sample that is there already fails all of it.
WITH stored AS (
    INSERT INTO telemetry_sample (tag_id, time, value, value_text, quality, published_lag_us, ingested_lag_us)
    SELECT (r->>0)::integer, 'epoch'::timestamptz + (r->>1)::bigint * interval '1 microsecond',
           (r->>2)::double precision, r->>3, (r->>4)::smallint, (r->>5)::bigint, (r->>6)::bigint
    FROM json_array_elements(%(samples)s::json) AS r
)
INSERT INTO arrival (datasets, machine_id, quarter, cause)
SELECT a.datasets, a.machine_id, 'epoch'::timestamptz + a.quarter_us * interval '1 microsecond', %(cause)s
FROM json_to_recordset(%(arrivals)s::json) AS a (datasets text[], machine_id text, quarter_us bigint)

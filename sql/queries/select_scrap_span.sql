-- [start, end) of a machine widened to the scrap entries that reach across its edges, and to those that share rejects
-- with them, and so on: what is entered for a span is used up once, over the whole of it. An entry without an end is
-- about the 15 minutes before it (kpi/scrap_events.py).
WITH about AS (
    SELECT CASE WHEN ends_at IS NULL THEN starts_at - interval '15 minutes' ELSE starts_at END AS low,
           coalesce(ends_at, starts_at + interval '1 microsecond') AS high
    FROM operator_entries
    WHERE machine_id = %(machine_id)s AND kind = 'scrap'
),
reached AS (
    SELECT low, high,
           max(high) OVER (ORDER BY low, high ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
    FROM about
),
numbered AS (
    SELECT low, high, count(*) FILTER (WHERE reached IS NULL OR low >= reached) OVER (ORDER BY low, high) AS cluster
    FROM reached
),
cluster AS (
    SELECT min(low) AS low, max(high) AS high FROM numbered GROUP BY cluster
)
SELECT least(min(low), %(start)s) AS starts_at, greatest(max(high), %(end)s) AS ends_at
FROM cluster
WHERE low < %(end)s AND high > %(start)s

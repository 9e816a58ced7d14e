-- Rows set aside in the last hour, with the most frequent reason.
SELECT dataset, sum(rows)::bigint AS rows, (array_agg(reason ORDER BY rows DESC))[1] AS reason
FROM (SELECT dataset, reason, count(*) AS rows FROM quarantine
      WHERE quarantined_at > %(now)s - interval '1 hour' GROUP BY dataset, reason) q
GROUP BY dataset ORDER BY dataset

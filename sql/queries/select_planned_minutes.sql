-- Planned minutes of each machine since it stopped: breaks and unplanned time do not count.
SELECT asked.machine_id,
       coalesce(sum(extract(epoch FROM least(p.ends_at, %(now)s) - greatest(p.starts_at, asked.since))) / 60, 0)
           ::double precision AS minutes
FROM unnest(%(machines)s::text[], %(since)s::timestamptz[]) AS asked (machine_id, since)
LEFT JOIN plan_calendar p
    ON p.machine_id = asked.machine_id AND p.plan = 'planned' AND p.ends_at > asked.since AND p.starts_at < %(now)s
GROUP BY asked.machine_id

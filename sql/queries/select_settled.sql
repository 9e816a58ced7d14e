-- From when on each machine has to be derived anew, so that it is as if all of [floor, now) were: before that nothing
-- which came since can change what is stored. `floor` is the start of the production day that is needed.
--   whole    sources that speak of time long before their samples: all is derived
--   told     how far states are stored; low: the day before counts too while the chain still computes it (`closing`), or
--            has not finished it: a stop reaches over the boundary. Without states of a day ago all is derived
--   fresh    the first quarter hour with a dirty mark or an arrival, else the end of what is told
--   heard    the last sample before that: the machine may have fallen silent there
--   reading  the rules for counters look so many readings around (%(context)s)
--   ahead    so long before a sample it can show in states (`kpi.reach`)
--   faulted  a fault has one code from its start to its end
WITH touched AS MATERIALIZED (
    SELECT machine_id, quarter FROM dirty_mark WHERE dataset IN ('machine_states', 'production_events')
    UNION
    SELECT machine_id, quarter FROM arrival WHERE datasets && '{machine_states,production_events}'
)
SELECT m.machine_id, CASE WHEN m.whole THEN coalesce(told.low, m.floor) ELSE coalesce(faulted.since, m.floor) END AS since
FROM unnest(%(machines)s::text[], %(floors)s::timestamptz[], %(aheads)s::interval[], %(closing)s::boolean[],
            %(whole)s::boolean[]) AS m (machine_id, floor, ahead, closing, whole)
LEFT JOIN LATERAL (
    SELECT l.ends_at,
           m.floor - CASE WHEN m.closing OR l.ends_at < m.floor THEN interval '1 day' ELSE interval '0' END AS low
    FROM (
        SELECT s.ends_at FROM machine_states s
        WHERE s.machine_id = m.machine_id
        ORDER BY s.starts_at DESC LIMIT 1
    ) l
    WHERE l.ends_at >= m.floor - interval '1 day'
) told ON true
LEFT JOIN LATERAL (
    SELECT least(told.ends_at, min(d.quarter)) AS since
    FROM touched d
    WHERE d.machine_id = m.machine_id AND d.quarter > told.low - interval '15 minutes'
) fresh ON told.low IS NOT NULL
LEFT JOIN LATERAL (
    SELECT max(b.time) AS time
    FROM tag t
    CROSS JOIN LATERAL (
        SELECT s.time FROM telemetry_sample s
        WHERE s.tag_id = t.tag_id AND s.time < fresh.since
        ORDER BY s.time DESC LIMIT 1
    ) b
    WHERE t.machine_id = m.machine_id
) heard ON told.low IS NOT NULL
LEFT JOIN LATERAL (
    SELECT min(g.time) AS time
    FROM tag t
    CROSS JOIN LATERAL (
        SELECT s.time FROM telemetry_sample s
        WHERE s.tag_id = t.tag_id AND s.time < fresh.since AND s.quality >= 192
        ORDER BY s.time DESC LIMIT %(context)s
    ) g
    WHERE t.machine_id = m.machine_id AND t.metric_name = ANY(%(counters)s)
) reading ON told.low IS NOT NULL
LEFT JOIN LATERAL (
    SELECT least(fresh.since, heard.time, reading.time) - m.ahead AS since
) seen ON told.low IS NOT NULL
LEFT JOIN LATERAL (
    SELECT greatest(told.low, least(seen.since, coalesce((
        SELECT s.ends_at FROM machine_states s
        WHERE s.machine_id = m.machine_id AND s.starts_at < seen.since AND s.state <> 'fault'
        ORDER BY s.starts_at DESC LIMIT 1
    ), told.low))) AS since
) faulted ON told.low IS NOT NULL

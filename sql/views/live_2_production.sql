-- Parts of the running production day and of the running shift, fresh from the counters: what was derived as far as the states are told, and
-- the growth of the raw counters after that. For dashboards; it needs no Dagster run. A counter that fell or grew by
-- more than the machine can make is judged by production_events: until then there is no number, and the reason is given.
CREATE OR REPLACE VIEW live_production AS
SELECT m.machine_id,
       m.machine_name,
       m.line,
       day.production_date,
       day.starts_at AS day_started_at,
       CASE WHEN unsure.why IS NULL THEN
           CASE WHEN grown.good IS NOT NULL OR grown.total IS NULL THEN coalesce(grown.good, 0)
                ELSE grown.total - coalesce(grown.reject, 0) - coalesce(grown.rework, 0) END
           + coalesce(made.good, 0)
       END AS good_count,
       CASE WHEN unsure.why IS NULL THEN
           CASE WHEN grown.reject IS NOT NULL OR grown.total IS NULL OR grown.good IS NULL THEN coalesce(grown.reject, 0)
                ELSE grown.total - grown.good - coalesce(grown.rework, 0) END
           + coalesce(made.reject, 0)
       END AS reject_count,
       CASE WHEN unsure.why IS NULL THEN coalesce(grown.rework, 0) + coalesce(made.rework, 0) END AS rework_count,
       unsure.why AS null_reason,
       greatest(made.last_at, grown.last_at) AS last_count_at,
       base.derived_until,
       cycle.value AS cycle_time_ms,
       ordered.work_order,
       ordered.part_number,
       running.shift,
       running.starts_at AS shift_started_at,
       CASE WHEN unsure_of_shift.why IS NULL THEN
           CASE WHEN grown.good IS NOT NULL OR grown.total IS NULL THEN coalesce(grown.shift_good, 0)
                ELSE grown.shift_total - coalesce(grown.shift_reject, 0) - coalesce(grown.shift_rework, 0) END
           + coalesce(made.shift_good, 0)
       END AS shift_good_count,
       CASE WHEN unsure_of_shift.why IS NULL THEN
           CASE WHEN grown.reject IS NOT NULL OR grown.total IS NULL OR grown.good IS NULL
                THEN coalesce(grown.shift_reject, 0)
                ELSE grown.shift_total - grown.shift_good - coalesce(grown.shift_rework, 0) END
           + coalesce(made.shift_reject, 0)
       END AS shift_reject_count,
       CASE WHEN unsure_of_shift.why IS NULL THEN
           coalesce(grown.shift_rework, 0) + coalesce(made.shift_rework, 0)
       END AS shift_rework_count,
       unsure_of_shift.why AS shift_null_reason
FROM machine_source m
CROSS JOIN LATERAL (
    SELECT ((now() AT TIME ZONE m.timezone) - m.day_boundary::interval)::date AS production_date
) local
CROSS JOIN LATERAL (
    SELECT local.production_date, (local.production_date + m.day_boundary) AT TIME ZONE m.timezone AS starts_at
) day
LEFT JOIN LATERAL (
    -- Lines of the plan are cut at the edges of production days: a shift never began before the day.
    SELECT line.shift,
           CASE WHEN line.shift IS NOT NULL THEN
               (SELECT min(s.starts_at) FROM plan_calendar s
                WHERE s.machine_id = m.machine_id AND s.starts_at >= day.starts_at AND s.starts_at <= line.starts_at
                  AND s.shift = line.shift AND s.production_date = line.production_date)
           END AS starts_at
    FROM (SELECT p.* FROM plan_calendar p
          WHERE p.machine_id = m.machine_id AND p.starts_at <= now() ORDER BY p.starts_at DESC LIMIT 1) line
    WHERE line.ends_at > now()
) running ON true
CROSS JOIN LATERAL (
    SELECT greatest(day.starts_at, told.ends_at) AS starts_at, told.ends_at AS derived_until
    FROM (SELECT 1) one
    LEFT JOIN LATERAL (
        SELECT s.ends_at FROM machine_states s WHERE s.machine_id = m.machine_id ORDER BY s.starts_at DESC LIMIT 1
    ) told ON true
) base
CROSS JOIN LATERAL (
    SELECT sum(e.good_count)::double precision AS good, sum(e.reject_count)::double precision AS reject,
           sum(e.rework_count)::double precision AS rework, max(e.time) AS last_at,
           (sum(e.good_count) FILTER (WHERE e.time >= running.starts_at))::double precision AS shift_good,
           (sum(e.reject_count) FILTER (WHERE e.time >= running.starts_at))::double precision AS shift_reject,
           (sum(e.rework_count) FILTER (WHERE e.time >= running.starts_at))::double precision AS shift_rework
    FROM production_events e
    WHERE e.machine_id = m.machine_id AND e.time >= day.starts_at
      -- Of a machine without counters all is booked, up to the newest entry.
      AND (e.time <= base.starts_at OR NOT EXISTS (SELECT FROM machine_counter c WHERE c.machine_id = m.machine_id))
) made
CROSS JOIN LATERAL (
    SELECT sum(c.grown) FILTER (WHERE c.counts = 'good') AS good,
           sum(c.grown) FILTER (WHERE c.counts = 'reject') AS reject,
           sum(c.grown) FILTER (WHERE c.counts = 'rework') AS rework,
           sum(c.grown) FILTER (WHERE c.counts = 'total') AS total,
           sum(c.shift_grown) FILTER (WHERE c.counts = 'good') AS shift_good,
           sum(c.shift_grown) FILTER (WHERE c.counts = 'reject') AS shift_reject,
           sum(c.shift_grown) FILTER (WHERE c.counts = 'rework') AS shift_rework,
           sum(c.shift_grown) FILTER (WHERE c.counts = 'total') AS shift_total,
           bool_or(c.shift_fell) AS shift_fell, bool_or(c.shift_jumped) AS shift_jumped,
           max(c.last_at) AS last_at,
           bool_or(c.fell) AS fell, bool_or(c.jumped) AS jumped, bool_and(c.newest_at IS NULL) AS never_read,
           count(*) AS counters
    FROM (
        SELECT k.counts,
               coalesce(sum(step.parts), 0) AS grown,
               max(step.time) FILTER (WHERE step.parts > 0) AS last_at,
               max(step.time) AS newest_at,
               coalesce(sum(step.parts) FILTER (WHERE step.time >= running.starts_at), 0) AS shift_grown,
               bool_or(step.parts < 0) AS fell,
               bool_or(step.parts < 0 AND step.time >= running.starts_at) AS shift_fell,
               bool_or(step.too_many) AS jumped,
               bool_or(step.too_many AND step.time >= running.starts_at) AS shift_jumped
        FROM machine_counter k
        LEFT JOIN LATERAL (
            SELECT since.time, since.parts,
                   since.s IS NOT NULL AND since.parts > greatest(
                       floor(since.s * m.most_parts_per_s / 1.5 + 1e-9) + 1, greatest(since.s, 1) * m.most_parts_per_s
                   ) AS too_many
            FROM (
                SELECT r.time,
                       extract(epoch FROM r.time - lag(r.time) OVER seen)::double precision AS s,
                       CASE WHEN k.kind = 'cumulative' THEN r.value - lag(r.value) OVER seen
                            WHEN r.time > base.starts_at THEN r.value END AS parts
                FROM tag t
                CROSS JOIN LATERAL (
                    (SELECT b.time, b.value FROM telemetry_sample b
                     WHERE b.tag_id = t.tag_id AND b.time <= base.starts_at AND b.quality >= 192 AND b.value IS NOT NULL
                     ORDER BY b.time DESC LIMIT 1)
                    UNION ALL
                    SELECT a.time, a.value FROM telemetry_sample a
                    WHERE a.tag_id = t.tag_id AND a.time > base.starts_at AND a.quality >= 192 AND a.value IS NOT NULL
                ) r
                WHERE t.machine_id = m.machine_id AND t.metric_name = k.metric_name
                WINDOW seen AS (PARTITION BY t.tag_id ORDER BY r.time)
            ) since
        ) step ON true
        WHERE k.machine_id = m.machine_id
        GROUP BY k.counts, k.metric_name
    ) c
) grown
CROSS JOIN LATERAL (
    SELECT CASE WHEN grown.fell THEN 'counter_fell' WHEN grown.jumped THEN 'counter_jumped'
                WHEN grown.counters > 0 AND grown.never_read AND made.last_at IS NULL THEN 'no_reading'
                WHEN grown.counters = 0 AND made.last_at IS NULL THEN 'nothing_booked' END AS why
) unsure
CROSS JOIN LATERAL (
    -- What a counter did before the shift says nothing against what it counted in it.
    SELECT CASE WHEN running.shift IS NULL THEN CASE WHEN EXISTS (
                    SELECT FROM plan_calendar p WHERE p.machine_id = m.machine_id AND p.ends_at > now()
                ) THEN 'no_shift' ELSE 'no_plan' END
                WHEN grown.shift_fell THEN 'counter_fell' WHEN grown.shift_jumped THEN 'counter_jumped'
                WHEN unsure.why IN ('no_reading', 'nothing_booked') THEN unsure.why END AS why
) unsure_of_shift
LEFT JOIN LATERAL (
    SELECT s.value FROM tag t
    CROSS JOIN LATERAL (
        SELECT c.time, c.value FROM telemetry_sample c
        WHERE c.tag_id = t.tag_id AND c.quality >= 192 AND c.value IS NOT NULL
        ORDER BY c.time DESC LIMIT 1
    ) s
    WHERE t.machine_id = m.machine_id AND t.metric_name = m.cycle_time_metric
    ORDER BY s.time DESC LIMIT 1
) cycle ON true
LEFT JOIN LATERAL (
    SELECT o.work_order, o.part_number FROM work_orders o
    WHERE o.machine_id = m.machine_id AND o.started_at <= now() AND (o.ended_at IS NULL OR o.ended_at > now())
    ORDER BY o.started_at DESC, o.work_order COLLATE "C" DESC LIMIT 1
) ordered ON true;

COMMENT ON VIEW live_production IS 'Parts of each machine in the running production day, as fresh as its counters.';
COMMENT ON COLUMN live_production.machine_id IS 'Machine of the plant file.';
COMMENT ON COLUMN live_production.machine_name IS 'Its name for people.';
COMMENT ON COLUMN live_production.line IS 'Its line.';
COMMENT ON COLUMN live_production.production_date IS 'The running production day, by the plant''s boundary.';
COMMENT ON COLUMN live_production.day_started_at IS 'When that day began.';
COMMENT ON COLUMN live_production.good_count IS 'Good parts since then; NULL with null_reason where the counters do not say.';
COMMENT ON COLUMN live_production.reject_count IS 'Rejected parts since then.';
COMMENT ON COLUMN live_production.rework_count IS 'Reworked parts since then.';
COMMENT ON COLUMN live_production.null_reason IS 'counter_fell, counter_jumped (judged by the next chain), no_reading, nothing_booked.';
COMMENT ON COLUMN live_production.last_count_at IS 'Time of the newest count that day.';
COMMENT ON COLUMN live_production.derived_until IS 'Up to here the parts are those of production_events; NULL: never derived.';
COMMENT ON COLUMN live_production.cycle_time_ms IS 'Newest cycle time the controller reported.';
COMMENT ON COLUMN live_production.work_order IS 'The order in work, of several the one started last.';
COMMENT ON COLUMN live_production.part_number IS 'Its part.';
COMMENT ON COLUMN live_production.shift IS 'The running shift by the plan; NULL with shift_null_reason where there is none.';
COMMENT ON COLUMN live_production.shift_started_at IS 'When it began; at the boundary of the day at the earliest.';
COMMENT ON COLUMN live_production.shift_good_count IS 'Good parts since then; NULL with shift_null_reason where the counters do not say.';
COMMENT ON COLUMN live_production.shift_reject_count IS 'Rejected parts since then.';
COMMENT ON COLUMN live_production.shift_rework_count IS 'Reworked parts since then.';
COMMENT ON COLUMN live_production.shift_null_reason IS 'no_plan (plan_calendar does not reach here), no_shift, or as null_reason, of the shift alone.';

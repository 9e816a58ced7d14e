-- What must hold in every derived database, whatever happened in the plant. One row for each rule: its name and how
-- many rows break it. %(opens)s and %(closes)s: the span that was derived.
WITH
ledger AS (
    SELECT l.*, (extract(epoch FROM ends_at - starts_at) * 1000000)::bigint AS us,
           lead(starts_at) OVER (PARTITION BY machine_id ORDER BY starts_at) AS next,
           first_value(starts_at) OVER (PARTITION BY machine_id ORDER BY starts_at) AS first,
           tstzrange(starts_at, ends_at) AS span
    FROM machine_time l
),
buckets AS (
    SELECT 'hour' AS level, machine_id, time_bucket::text AS period, running_us + failure_us + changeover_us
               + planned_stop_us + other_stop_us + micro_stop_us + break_us + not_scheduled_us + unknown_us AS all_us,
           running_us + failure_us + other_stop_us + micro_stop_us
               + CASE WHEN convention LIKE '%%changeover=availability_loss%%' THEN changeover_us ELSE 0 END
               + CASE WHEN convention LIKE '%%planned_stops=availability_loss%%' THEN planned_stop_us ELSE 0 END
               + CASE WHEN convention LIKE '%%unknown=availability_loss%%' THEN unknown_us ELSE 0 END AS losses_us,
           planned_time_us, run_time_us, running_us, micro_stop_us, availability, performance, quality, oee,
           null_reason, good_count, reject_count, rework_count, ideal_time_us, ideal_good_time_us, unknown_us
    FROM oee_hourly
    UNION ALL
    SELECT 'shift', machine_id, production_date || ' ' || shift || ' ' || part_number, running_us + failure_us
               + changeover_us + planned_stop_us + other_stop_us + micro_stop_us + break_us + not_scheduled_us
               + unknown_us,
           running_us + failure_us + other_stop_us + micro_stop_us
               + CASE WHEN convention LIKE '%%changeover=availability_loss%%' THEN changeover_us ELSE 0 END
               + CASE WHEN convention LIKE '%%planned_stops=availability_loss%%' THEN planned_stop_us ELSE 0 END
               + CASE WHEN convention LIKE '%%unknown=availability_loss%%' THEN unknown_us ELSE 0 END,
           planned_time_us, run_time_us, running_us, micro_stop_us, availability, performance, quality, oee,
           null_reason, good_count, reject_count, rework_count, ideal_time_us, ideal_good_time_us, unknown_us
    FROM oee_shift
),
of_ledger AS (
    SELECT machine_id, time_bucket, production_date, sum(us) AS us,
           sum(us) FILTER (WHERE bucket = 'running') AS running, count(DISTINCT production_date) AS dates
    FROM ledger GROUP BY 1, 2, 3
),
shift_of_ledger AS (
    SELECT machine_id, production_date, coalesce(shift, '') AS shift, sum(us) AS us,
           coalesce(sum(us) FILTER (WHERE bucket = 'running'), 0) AS running
    FROM ledger GROUP BY 1, 2, 3
),
rule AS (
    SELECT 'intervals follow each other without gap or overlap' AS name,
           (SELECT count(*) FROM ledger WHERE next <> ends_at) AS broken
    UNION ALL SELECT 'they cover the window exactly',
        (SELECT count(*) FROM (SELECT machine_id, min(starts_at) AS low, max(ends_at) AS high FROM ledger GROUP BY 1) m
         WHERE (low, high) IS DISTINCT FROM (%(opens)s, %(closes)s))
        + (SELECT count(*) FROM (SELECT DISTINCT machine_id FROM plan_calendar) m
           WHERE NOT EXISTS (SELECT FROM ledger l WHERE l.machine_id = m.machine_id))
    UNION ALL SELECT 'none reaches over the end of its hour',
        (SELECT count(*) FROM ledger WHERE starts_at < time_bucket OR ends_at > time_bucket + interval '1 hour')
    UNION ALL SELECT 'none reaches over a line of the plan, and each says what the plan says',
        (SELECT count(*) FROM ledger l WHERE NOT EXISTS (
            SELECT FROM plan_calendar p
            WHERE p.machine_id = l.machine_id AND p.starts_at <= l.starts_at AND p.ends_at >= l.ends_at
              AND (p.plan, p.shift, p.production_date) IS NOT DISTINCT FROM (l.plan, l.shift, l.production_date)))
    UNION ALL SELECT 'none reaches over a change of state, and each says the state',
        (SELECT count(*) FROM ledger l WHERE l.state IS DISTINCT FROM (
            SELECT min(s.state) FROM machine_states s
            WHERE s.machine_id = l.machine_id AND s.starts_at < l.ends_at AND s.ends_at > l.starts_at
            HAVING count(DISTINCT s.state) = 1))
    UNION ALL SELECT 'running outranks everything, and nothing else is running',
        (SELECT count(*) FROM ledger WHERE (bucket = 'running') <> (state = 'running'))
    UNION ALL SELECT 'outside the plan and in breaks a stop is no loss',
        (SELECT count(*) FROM ledger
         WHERE bucket <> 'running' AND plan IN ('not_scheduled', 'break') AND bucket <> plan)
    UNION ALL SELECT 'unknown is unknown, in planned time only',
        (SELECT count(*) FROM ledger WHERE (bucket = 'unknown') <> (state = 'unknown' AND plan = 'planned'))
    UNION ALL SELECT 'a stop has its name exactly on the time lost to it',
        (SELECT count(*) FROM ledger
         WHERE (stop_id IS NOT NULL) <> (plan IN ('planned', 'planned_stop') AND state NOT IN ('running', 'unknown')))
    UNION ALL SELECT 'what is lost to a stop is in downtime_events, with the same loss and reason',
        (SELECT count(*) FROM ledger l WHERE stop_id IS NOT NULL AND NOT l.span <@ (
            SELECT coalesce(range_agg(tstzrange(d.time_start, d.time_end)), '{}') FROM downtime_events d
            WHERE d.machine_id = l.machine_id AND d.stop_id = l.stop_id AND d.time_start < l.ends_at
              AND coalesce(d.time_end, 'infinity') > l.starts_at
              AND (d.bucket, d.reason_code) IS NOT DISTINCT FROM (l.bucket, l.reason_code)))
    UNION ALL SELECT 'a stop lasts without a break from its start to its end, and neither ran nor was unknown',
        (SELECT count(*) FROM (SELECT DISTINCT machine_id, stop_id, stop_started_at, stop_ended_at
                               FROM downtime_events) d
         JOIN machine_states s ON s.machine_id = d.machine_id AND s.state IN ('running', 'unknown')
              AND s.starts_at < coalesce(d.stop_ended_at, 'infinity') AND s.ends_at > d.stop_started_at)
    UNION ALL SELECT 'parts of stops do not overlap',
        (SELECT count(*) FROM (SELECT time_end, lead(time_start) OVER (PARTITION BY machine_id ORDER BY time_start) AS next
                               FROM downtime_events) d WHERE time_end > next OR (time_end IS NULL AND next IS NOT NULL))
    UNION ALL SELECT 'an hour is of one production date',
        (SELECT count(*) FROM (SELECT machine_id, time_bucket FROM of_ledger GROUP BY 1, 2 HAVING count(*) > 1) h)
    UNION ALL SELECT 'every hour of the ledger has its row, with its time to the microsecond',
        (SELECT count(*) FROM of_ledger l FULL JOIN oee_hourly h USING (machine_id, time_bucket)
         WHERE (l.us, l.production_date, coalesce(l.running, 0)) IS DISTINCT FROM
               (h.running_us + h.failure_us + h.changeover_us + h.planned_stop_us + h.other_stop_us + h.micro_stop_us
                + h.break_us + h.not_scheduled_us + h.unknown_us, h.production_date, h.running_us))
    UNION ALL SELECT 'every shift of the ledger has its rows, with its time to the microsecond',
        (SELECT count(*) FROM shift_of_ledger l FULL JOIN (
            SELECT machine_id, production_date, shift, sum(running_us + failure_us + changeover_us + planned_stop_us
                       + other_stop_us + micro_stop_us + break_us + not_scheduled_us + unknown_us) AS us,
                   sum(running_us) AS running
            FROM oee_shift GROUP BY 1, 2, 3) s USING (machine_id, production_date, shift)
         WHERE (l.us, l.running) IS DISTINCT FROM (s.us, s.running))
    UNION ALL SELECT 'planned time is running and all losses, to the microsecond',
        (SELECT count(*) FROM buckets WHERE planned_time_us <> losses_us)
    UNION ALL SELECT 'run time is running and micro-stops, never more than planned time',
        (SELECT count(*) FROM buckets WHERE run_time_us <> running_us + micro_stop_us OR run_time_us > planned_time_us)
    UNION ALL SELECT 'availability x performance x quality is the OEE',
        (SELECT count(*) FROM buckets WHERE abs(availability * performance * quality - oee) > 1e-9)
    UNION ALL SELECT 'ratios are what their elements say',
        (SELECT count(*) FROM buckets
         WHERE abs(availability - run_time_us / nullif(planned_time_us, 0)::float8) > 1e-12
            OR abs(performance - ideal_time_us / nullif(run_time_us, 0)) > 1e-9 * greatest(1, performance)
            OR abs(oee - ideal_good_time_us / nullif(planned_time_us, 0)) > 1e-9 * greatest(1, oee))
    UNION ALL SELECT 'availability and quality are between 0 and 1, nothing is not a number',
        (SELECT count(*) FROM buckets
         WHERE availability NOT BETWEEN 0 AND 1 OR quality NOT BETWEEN 0 AND 1
            OR 'NaN' IN (availability, performance, quality, oee)
            OR 'Infinity' IN (availability, performance, quality, oee))
    UNION ALL SELECT 'without planned time there are no ratios, and a reason',
        (SELECT count(*) FROM buckets WHERE planned_time_us = 0 AND (num_nonnulls(availability, performance, quality, oee)
            > 0 OR null_reason IS DISTINCT FROM CASE WHEN unknown_us > 0 THEN 'no_data' ELSE 'no_planned_time' END))
    UNION ALL SELECT 'whatever is NULL has a reason',
        (SELECT count(*) FROM buckets
         WHERE num_nulls(availability, performance, quality, oee) > 0 AND null_reason IS NULL)
    UNION ALL SELECT 'planned time with nothing good is an OEE of 0',
        (SELECT count(*) FROM buckets WHERE planned_time_us > 0 AND good_count = 0
            AND (rework_count = 0) AND oee IS DISTINCT FROM 0)
    UNION ALL SELECT 'every part that was counted is in an hour, inside OEE or beside it',
        (SELECT count(*) FROM (
            SELECT machine_id, sum(good_count + reject_count + rework_count) AS n FROM production_events GROUP BY 1) e
         FULL JOIN (SELECT machine_id, sum(good_count + reject_count + rework_count + gap_good_count + gap_reject_count) AS n
                    FROM oee_hourly GROUP BY 1) h USING (machine_id)
         WHERE coalesce(e.n, 0) <> coalesce(h.n, 0))
    UNION ALL SELECT 'shifts have the parts of their hours',
        (SELECT count(*) FROM (
            SELECT machine_id, production_date, sum(good_count) AS g, sum(reject_count) AS r, sum(gap_good_count) AS gg
            FROM oee_hourly GROUP BY 1, 2) h
         FULL JOIN (SELECT machine_id, production_date, sum(good_count) AS g, sum(reject_count) AS r,
                           sum(gap_good_count) AS gg FROM oee_shift GROUP BY 1, 2) s USING (machine_id, production_date)
         WHERE (h.g, h.r, h.gg) IS DISTINCT FROM (s.g, s.r, s.gg))
)
SELECT name, broken FROM rule WHERE broken > 0

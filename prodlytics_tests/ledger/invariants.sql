-- What must hold in every derived database, whatever happened in the plant. First what several rules look at; then one
-- query for each rule, under its name: how many rows break it. %(opens)s and %(closes)s: the span that was derived.
-- Rows of states and plan are cut at the edges of production days: what touches an instant began within 26 hours of it.
CREATE TEMP VIEW rule_ledger AS
SELECT l.*, (extract(epoch FROM ends_at - starts_at) * 1000000)::bigint AS us,
       lead(starts_at) OVER (PARTITION BY machine_id ORDER BY starts_at) AS next,
       first_value(starts_at) OVER (PARTITION BY machine_id ORDER BY starts_at) AS first,
       tstzrange(starts_at, ends_at) AS span, coalesce(reason_code, '') AS reason
FROM machine_time l;

CREATE TEMP VIEW rule_lost AS
SELECT machine_id, stop_id, bucket, coalesce(reason_code, '') AS reason,
       range_agg(tstzrange(time_start, time_end)) AS time
FROM downtime_events GROUP BY 1, 2, 3, 4;

CREATE TEMP VIEW rule_buckets AS
SELECT 'hour' AS level, machine_id, time_bucket::text AS period, running_us + failure_us + changeover_us
           + planned_stop_us + other_stop_us + micro_stop_us + break_us + not_scheduled_us + unknown_us AS all_us,
       running_us + failure_us + other_stop_us + micro_stop_us
           + CASE WHEN convention LIKE '%changeover=availability_loss%' THEN changeover_us ELSE 0 END
           + CASE WHEN convention LIKE '%planned_stops=availability_loss%' THEN planned_stop_us ELSE 0 END
           + CASE WHEN convention LIKE '%unknown=availability_loss%' THEN unknown_us ELSE 0 END AS losses_us,
       planned_time_us, run_time_us, running_us, micro_stop_us, availability, performance, quality, oee,
       null_reason, good_count, reject_count, rework_count, ideal_time_us, ideal_good_time_us, unknown_us
FROM oee_hourly
UNION ALL
SELECT 'shift', machine_id, production_date || ' ' || shift || ' ' || part_number, running_us + failure_us
           + changeover_us + planned_stop_us + other_stop_us + micro_stop_us + break_us + not_scheduled_us
           + unknown_us,
       running_us + failure_us + other_stop_us + micro_stop_us
           + CASE WHEN convention LIKE '%changeover=availability_loss%' THEN changeover_us ELSE 0 END
           + CASE WHEN convention LIKE '%planned_stops=availability_loss%' THEN planned_stop_us ELSE 0 END
           + CASE WHEN convention LIKE '%unknown=availability_loss%' THEN unknown_us ELSE 0 END,
       planned_time_us, run_time_us, running_us, micro_stop_us, availability, performance, quality, oee,
       null_reason, good_count, reject_count, rework_count, ideal_time_us, ideal_good_time_us, unknown_us
FROM oee_shift;

CREATE TEMP VIEW rule_of_ledger AS
SELECT machine_id, time_bucket, production_date, sum(us) AS us,
       sum(us) FILTER (WHERE bucket = 'running') AS running, count(DISTINCT production_date) AS dates
FROM rule_ledger GROUP BY 1, 2, 3;

CREATE TEMP VIEW rule_shift_of_ledger AS
SELECT machine_id, production_date, coalesce(shift, '') AS shift, sum(us) AS us,
       coalesce(sum(us) FILTER (WHERE bucket = 'running'), 0) AS running
FROM rule_ledger GROUP BY 1, 2, 3;

-- rule: intervals follow each other without gap or overlap
SELECT
    (SELECT count(*) FROM rule_ledger WHERE next <> ends_at);

-- rule: they cover the window exactly
SELECT
    (SELECT count(*) FROM (SELECT machine_id, min(starts_at) AS low, max(ends_at) AS high FROM rule_ledger GROUP BY 1) m
     WHERE (low, high) IS DISTINCT FROM (%(opens)s, %(closes)s))
    + (SELECT count(*) FROM (SELECT DISTINCT machine_id FROM plan_calendar) m
       WHERE NOT EXISTS (SELECT FROM rule_ledger l WHERE l.machine_id = m.machine_id));

-- rule: none reaches over the end of its hour
SELECT
    (SELECT count(*) FROM rule_ledger WHERE starts_at < time_bucket OR ends_at > time_bucket + interval '1 hour');

-- rule: none reaches over a line of the plan, and each says what the plan says
SELECT
    (SELECT count(*) FROM rule_ledger l WHERE NOT EXISTS (
        SELECT FROM plan_calendar p
        WHERE p.machine_id = l.machine_id AND p.starts_at <= l.starts_at AND p.ends_at >= l.ends_at
          AND p.starts_at > l.starts_at - interval '26 hours'
          AND (p.plan, p.shift, p.production_date) IS NOT DISTINCT FROM (l.plan, l.shift, l.production_date)));

-- rule: none reaches over a change of state, and each says the state
SELECT
    (SELECT count(*) FROM rule_ledger l WHERE l.state IS DISTINCT FROM (
        SELECT min(s.state) FROM machine_states s
        WHERE s.machine_id = l.machine_id AND s.starts_at < l.ends_at AND s.ends_at > l.starts_at
          AND s.starts_at > l.starts_at - interval '26 hours'
        HAVING count(DISTINCT s.state) = 1));

-- rule: running outranks everything, and nothing else is running
SELECT
    (SELECT count(*) FROM rule_ledger WHERE (bucket = 'running') <> (state = 'running'));

-- rule: outside the plan and in breaks a stop is no loss
SELECT
    (SELECT count(*) FROM rule_ledger
     WHERE bucket <> 'running' AND plan IN ('not_scheduled', 'break') AND bucket <> plan);

-- rule: unknown is unknown, in planned time only
SELECT
    (SELECT count(*) FROM rule_ledger WHERE (bucket = 'unknown') <> (state = 'unknown' AND plan = 'planned'));

-- rule: a stop has its name exactly on the time lost to it
SELECT
    (SELECT count(*) FROM rule_ledger
     WHERE (stop_id IS NOT NULL) <> (plan IN ('planned', 'planned_stop') AND state NOT IN ('running', 'unknown')));

-- rule: what is lost to a stop is in downtime_events, with the same loss and reason
SELECT
    (SELECT count(*) FROM rule_ledger l LEFT JOIN rule_lost lost USING (machine_id, stop_id, bucket, reason)
     WHERE stop_id IS NOT NULL AND NOT l.span <@ coalesce(lost.time, '{}'));

-- rule: a stop lasts without a break from its start to its end, and neither ran nor was unknown
SELECT
    (SELECT count(*) FROM (SELECT DISTINCT machine_id, stop_id, stop_started_at, stop_ended_at
                           FROM downtime_events) d
     JOIN machine_states s ON s.machine_id = d.machine_id AND s.state IN ('running', 'unknown')
          AND s.starts_at < coalesce(d.stop_ended_at, 'infinity') AND s.ends_at > d.stop_started_at
          AND s.starts_at > d.stop_started_at - interval '26 hours');

-- rule: parts of stops do not overlap
SELECT
    (SELECT count(*) FROM (SELECT time_end, lead(time_start) OVER (PARTITION BY machine_id ORDER BY time_start) AS next
                           FROM downtime_events) d WHERE time_end > next OR (time_end IS NULL AND next IS NOT NULL));

-- rule: an hour is of one production date
SELECT
    (SELECT count(*) FROM (SELECT machine_id, time_bucket FROM rule_of_ledger GROUP BY 1, 2 HAVING count(*) > 1) h);

-- rule: every hour of the ledger has its row, with its time to the microsecond
SELECT
    (SELECT count(*) FROM rule_of_ledger l FULL JOIN oee_hourly h USING (machine_id, time_bucket)
     WHERE (l.us, l.production_date, coalesce(l.running, 0)) IS DISTINCT FROM
           (h.running_us + h.failure_us + h.changeover_us + h.planned_stop_us + h.other_stop_us + h.micro_stop_us
            + h.break_us + h.not_scheduled_us + h.unknown_us, h.production_date, h.running_us));

-- rule: every shift of the ledger has its rows, with its time to the microsecond
SELECT
    (SELECT count(*) FROM rule_shift_of_ledger l FULL JOIN (
        SELECT machine_id, production_date, shift, sum(running_us + failure_us + changeover_us + planned_stop_us
                   + other_stop_us + micro_stop_us + break_us + not_scheduled_us + unknown_us) AS us,
               sum(running_us) AS running
        FROM oee_shift GROUP BY 1, 2, 3) s USING (machine_id, production_date, shift)
     WHERE (l.us, l.running) IS DISTINCT FROM (s.us, s.running));

-- rule: planned time is running and all losses, to the microsecond
SELECT
    (SELECT count(*) FROM rule_buckets WHERE planned_time_us <> losses_us);

-- rule: run time is running and micro-stops, never more than planned time
SELECT
    (SELECT count(*) FROM rule_buckets WHERE run_time_us <> running_us + micro_stop_us OR run_time_us > planned_time_us);

-- rule: availability x performance x quality is the OEE
SELECT
    (SELECT count(*) FROM rule_buckets WHERE abs(availability * performance * quality - oee) > 1e-9);

-- rule: ratios are what their elements say
SELECT
    (SELECT count(*) FROM rule_buckets
     WHERE abs(availability - run_time_us / nullif(planned_time_us, 0)::float8) > 1e-12
        OR abs(performance - ideal_time_us / nullif(run_time_us, 0)) > 1e-9 * greatest(1, performance)
        OR abs(oee - ideal_good_time_us / nullif(planned_time_us, 0)) > 1e-9 * greatest(1, oee));

-- rule: availability and quality are between 0 and 1, nothing is not a number
SELECT
    (SELECT count(*) FROM rule_buckets
     WHERE availability NOT BETWEEN 0 AND 1 OR quality NOT BETWEEN 0 AND 1
        OR 'NaN' IN (availability, performance, quality, oee)
        OR 'Infinity' IN (availability, performance, quality, oee));

-- rule: without planned time there are no ratios, and a reason
SELECT
    (SELECT count(*) FROM rule_buckets WHERE planned_time_us = 0 AND (num_nonnulls(availability, performance, quality, oee)
        > 0 OR null_reason IS DISTINCT FROM CASE WHEN unknown_us > 0 THEN 'no_data' ELSE 'no_planned_time' END));

-- rule: whatever is NULL has a reason
SELECT
    (SELECT count(*) FROM rule_buckets
     WHERE num_nulls(availability, performance, quality, oee) > 0 AND null_reason IS NULL);

-- rule: planned time with nothing good is an OEE of 0
SELECT
    (SELECT count(*) FROM rule_buckets WHERE planned_time_us > 0 AND good_count = 0
        AND (rework_count = 0) AND oee IS DISTINCT FROM 0);

-- rule: every part that was counted is in an hour, inside OEE or beside it
SELECT
    (SELECT count(*) FROM (
        SELECT machine_id, sum(good_count + reject_count + rework_count) AS n FROM production_events GROUP BY 1) e
     FULL JOIN (SELECT machine_id, sum(good_count + reject_count + rework_count + gap_good_count + gap_reject_count) AS n
                FROM oee_hourly GROUP BY 1) h USING (machine_id)
     WHERE coalesce(e.n, 0) <> coalesce(h.n, 0));

-- rule: shifts have the parts of their hours
SELECT
    (SELECT count(*) FROM (
        SELECT machine_id, production_date, sum(good_count) AS g, sum(reject_count) AS r, sum(gap_good_count) AS gg
        FROM oee_hourly GROUP BY 1, 2) h
     FULL JOIN (SELECT machine_id, production_date, sum(good_count) AS g, sum(reject_count) AS r,
                       sum(gap_good_count) AS gg FROM oee_shift GROUP BY 1, 2) s USING (machine_id, production_date)
     WHERE (h.g, h.r, h.gg) IS DISTINCT FROM (s.g, s.r, s.gg));

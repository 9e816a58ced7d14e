-- Elements of machines by week, and the machine that the OEE of its line is measured by in that week (NULL: not rolled
-- up yet, or all added up). One part without an ideal cycle leaves the week without ideal time.
WITH elements AS (
    SELECT machine_id, date_trunc('week', production_date)::date AS week,
        sum(planned_time_us)::double precision AS planned_time_us,
        sum(run_time_us)::double precision AS run_time_us,
        sum(run_time_us - micro_stop_us)::double precision AS running_us,
        CASE WHEN bool_and(ideal_time_us IS NOT NULL) THEN sum(ideal_time_us) END AS ideal_time_us,
        CASE WHEN bool_and(ideal_good_time_us IS NOT NULL) THEN sum(ideal_good_time_us) END AS ideal_good_time_us,
        sum(good_count) AS good_count, min(convention) AS convention, max(convention) AS last_convention
    FROM oee_shift
    WHERE production_date >= %(first)s AND production_date < %(last)s AND machine_id = ANY(%(machines)s)
    GROUP BY 1, 2
)
SELECT e.*, k.basis
FROM elements e
LEFT JOIN kpi_rollup k
    ON k.level = 'line' AND k.member = %(line)s AND k.period = 'week' AND k.period_start = e.week AND k.shift = ''
ORDER BY e.machine_id, e.week

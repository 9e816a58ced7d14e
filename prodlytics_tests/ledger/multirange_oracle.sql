-- The ledger as sets of time. From the rules of docs/numbers.md, with PostgreSQL's multiranges; for one machine and the
-- window [low, high). Reads machine_states, plan_calendar, operator_entries, reason_codes and the test's own tables:
-- oracle_fault (fault code, reason), oracle_micro (since, seconds), oracle_day (opens, closes of production days).
-- Gives one row for each distinct (bucket, plan, state, reason, stop, shift, date, hour) and the set of its time.
WITH
said AS (
    SELECT tstzrange(starts_at, ends_at) AS span, state, fault_code, least(starts_at, state_started_at) AS began
    FROM machine_states WHERE machine_id = %(machine)s
),
run AS (SELECT coalesce(range_agg(span), '{}') AS time FROM said WHERE state = 'running'),
known AS (SELECT coalesce(range_agg(span), '{}') AS time FROM said WHERE state <> 'unknown'),
told AS (SELECT tstzmultirange(tstzrange(%(low)s, least(%(high)s, max(upper(span))))) AS time FROM said),
-- A stop is a longest span of time that is known and not running.
stop AS (
    SELECT s.span, to_char((SELECT min(said.began) FROM said WHERE lower(said.span) = lower(s.span)) AT TIME ZONE 'UTC',
                           'YYYY-MM-DD"T"HH24:MI:SS.US') AS name
    FROM (SELECT unnest(known.time - run.time) AS span FROM known, run) s
),
plan AS (
    SELECT plan, shift, production_date, range_agg(tstzrange(starts_at, ends_at)) AS time
    FROM plan_calendar WHERE machine_id = %(machine)s GROUP BY 1, 2, 3
),
-- ---- what people said: the latest entered wins ----
word AS (
    SELECT e.source_key, e.reason_code, e.entered_at,
           tstzrange(e.starts_at, coalesce(e.ends_at, upper(stop.span))) AS span
    FROM operator_entries e
    LEFT JOIN stop ON e.ends_at IS NULL AND stop.span @> e.starts_at
    WHERE e.machine_id = %(machine)s AND e.kind = 'reason' AND (e.ends_at IS NOT NULL OR stop.span IS NOT NULL)
      AND NOT EXISTS (SELECT FROM operator_entries u WHERE u.kind = 'undo' AND u.undoes = e.source_key)
),
heard AS (
    SELECT w.reason_code, c.loss, tstzmultirange(w.span) - coalesce(
        (SELECT range_agg(l.span) FROM word l
         WHERE (l.entered_at, l.source_key COLLATE "C") > (w.entered_at, w.source_key COLLATE "C")), '{}') AS time
    FROM word w LEFT JOIN reason_codes c USING (reason_code)
),
spoken AS (SELECT coalesce(range_agg(span), '{}') AS time FROM word),
-- ---- the length of a whole stop in planned time, under the threshold of the day on which it first counts ----
counted AS (
    SELECT stop.name, plan.plan, plan.production_date, unnest(tstzmultirange(stop.span) * plan.time) AS span
    FROM stop, plan WHERE plan.plan IN ('planned', 'planned_stop')
),
short AS (
    SELECT name
    FROM counted c
    GROUP BY name
    HAVING coalesce(sum(upper(span) - lower(span)) FILTER (WHERE plan = 'planned'), '0') <
        (SELECT m.seconds * interval '1 second' FROM oracle_micro m
         WHERE m.since <= (SELECT f.production_date FROM counted f WHERE f.name = c.name ORDER BY f.span LIMIT 1)
         ORDER BY m.since DESC LIMIT 1)
),
-- ---- who wins an instant: running, not scheduled, break, planned stop of the calendar, unknown, stop ----
layer AS (
    SELECT 'running' AS bucket, plan, shift, production_date, NULL AS reason, NULL AS stop, plan.time * run.time AS time
    FROM plan, run
    UNION ALL
    SELECT plan, plan, shift, production_date, NULL, NULL, plan.time - run.time
    FROM plan, run WHERE plan IN ('not_scheduled', 'break')
    UNION ALL
    SELECT CASE plan WHEN 'planned' THEN 'unknown' ELSE plan END, plan, shift, production_date, NULL, NULL,
           plan.time - known.time
    FROM plan, known WHERE plan IN ('planned', 'planned_stop')
    UNION ALL
    -- A person said why.
    SELECT CASE WHEN plan = 'planned_stop' THEN plan
                WHEN heard.loss IS NOT NULL THEN heard.loss
                WHEN short.name IS NOT NULL THEN 'micro_stop'
                ELSE state.loss END,
           plan, shift, production_date, heard.reason_code, stop.name,
           plan.time * tstzmultirange(stop.span) * heard.time * state.time
    FROM plan, stop LEFT JOIN short USING (name), heard,
         (SELECT CASE state WHEN 'fault' THEN 'failure' WHEN 'setup' THEN 'changeover' ELSE 'other_stop' END AS loss,
                 range_agg(span) AS time FROM said GROUP BY 1) state
    WHERE plan IN ('planned', 'planned_stop')
    UNION ALL
    -- Nobody said why: its length, what the fault stands for, its state.
    SELECT CASE WHEN plan = 'planned_stop' THEN plan
                WHEN short.name IS NOT NULL THEN 'micro_stop'
                ELSE coalesce(state.loss, state.by_state) END,
           plan, shift, production_date, state.reason, stop.name,
           plan.time * tstzmultirange(stop.span) * state.time - spoken.time
    FROM plan, spoken, stop LEFT JOIN short USING (name),
         (SELECT f.reason, c.loss,
                 CASE state WHEN 'fault' THEN 'failure' WHEN 'setup' THEN 'changeover' ELSE 'other_stop' END AS by_state,
                 range_agg(span) AS time
          FROM said LEFT JOIN oracle_fault f USING (fault_code) LEFT JOIN reason_codes c ON c.reason_code = f.reason
          GROUP BY 1, 2, 3) state
    WHERE plan IN ('planned', 'planned_stop')
),
-- ---- hours, from each boundary of a production day on, and where the date changes inside one ----
turn AS (
    SELECT starts_at FROM (
        SELECT starts_at, production_date, lag(production_date) OVER (ORDER BY starts_at) AS before
        FROM plan_calendar WHERE machine_id = %(machine)s) p
    WHERE before <> production_date
),
edge AS (
    SELECT generate_series(opens, closes - interval '1 microsecond', '1 hour') AS starts_at FROM oracle_day
    UNION SELECT starts_at FROM turn
),
hour AS (
    SELECT starts_at, tstzrange(starts_at, lead(starts_at) OVER (ORDER BY starts_at)) AS span FROM edge
),
state AS (
    SELECT state, range_agg(span) AS time FROM said WHERE state <> 'unknown' GROUP BY state
    UNION ALL
    SELECT 'unknown', told.time - known.time FROM told, known
)
SELECT bucket, plan, state.state, reason, stop, shift, production_date, hour.starts_at AS time_bucket,
       range_agg(layer.time * state.time * tstzmultirange(hour.span) * told.time) AS time
FROM layer, told, state
JOIN hour ON state.time && hour.span
WHERE NOT isempty(layer.time * state.time * tstzmultirange(hour.span) * told.time)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8

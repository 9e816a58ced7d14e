-- What each machine does now and since when, from its newest samples: a few index lookups a machine, no scan of the
-- days a state may last. For dashboards; it needs no Dagster run. Event time counts: a late sample changes nothing here.
-- States people book, and how long a state has lasted already, are those of machine_states.
CREATE OR REPLACE VIEW live_machine_status AS
SELECT m.machine_id,
       m.machine_name,
       m.line,
       now_in.state,
       CASE
           WHEN now_in.why = 'silent' THEN heard.last_heard_at
           WHEN m.state_source = 'operator' OR now_in.why = 'never_heard' THEN told.state_started_at
           WHEN m.state_source = 'counts' AND now_in.state = 'idle' THEN parts.last_count_at
           WHEN m.state_source = 'counts' THEN CASE WHEN told.state = now_in.state THEN told.state_started_at END
           WHEN other.time IS NULL AND told.state = now_in.state THEN told.state_started_at
           ELSE began.time
       END AS state_since,
       now_in.why AS unknown_reason,
       CASE WHEN now_in.why IS NULL OR now_in.why = 'unmapped_state' THEN said.word END AS native_state,
       CASE WHEN now_in.state = 'fault' THEN fault.word END AS fault_code,
       heard.last_heard_at,
       told.ends_at AS derived_until
FROM machine_source m
LEFT JOIN LATERAL (
    SELECT max(s.time) AS last_heard_at FROM tag t
    CROSS JOIN LATERAL (
        SELECT h.time FROM telemetry_sample h WHERE h.tag_id = t.tag_id ORDER BY h.time DESC LIMIT 1
    ) s
    WHERE t.machine_id = m.machine_id
) heard ON true
LEFT JOIN LATERAL (
    SELECT s.* FROM tag t
    CROSS JOIN LATERAL (
        SELECT n.time, n.value, n.value_text, native_word(n.value, n.value_text) AS word, n.quality >= 192 AS good
        FROM telemetry_sample n WHERE n.tag_id = t.tag_id ORDER BY n.time DESC LIMIT 1
    ) s
    WHERE t.machine_id = m.machine_id AND t.metric_name = m.state_metric AND m.state_source = 'telemetry'
    ORDER BY s.time DESC LIMIT 1
) said ON true
LEFT JOIN machine_state_map meant
    ON meant.machine_id = m.machine_id AND meant.native_state = said.word AND said.good
LEFT JOIN LATERAL (
    SELECT s.state, s.state_started_at, s.ends_at FROM machine_states s
    WHERE s.machine_id = m.machine_id ORDER BY s.starts_at DESC LIMIT 1
) told ON true
CROSS JOIN LATERAL (
    -- A join would read the counters of all machines.
    SELECT CASE WHEN m.state_source = 'counts' THEN
        (SELECT p.last_count_at FROM live_production p WHERE p.machine_id = m.machine_id)
    END AS last_count_at
) parts
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN m.state_source = 'operator' THEN CASE WHEN told.state IS NULL THEN 'nothing_booked' END
        WHEN heard.last_heard_at IS NULL THEN 'never_heard'
        WHEN NOT m.says_how_long AND now() - heard.last_heard_at > m.silence_after_s * interval '1 second' THEN 'silent'
        WHEN m.state_source = 'counts' THEN CASE WHEN parts.last_count_at IS NULL THEN 'no_count_today' END
        WHEN said.time IS NULL THEN 'no_state_sample'
        WHEN NOT said.good OR said.word IS NULL THEN 'bad_quality'
        WHEN meant.state IS NULL THEN 'unmapped_state'
    END AS why
) unknown
CROSS JOIN LATERAL (
    SELECT unknown.why,
           CASE
               WHEN unknown.why IS NOT NULL THEN 'unknown'
               WHEN m.state_source = 'operator' THEN told.state
               WHEN m.state_source = 'telemetry' THEN meant.state
               WHEN now() - parts.last_count_at > m.idle_after_s * interval '1 second' THEN 'idle'
               ELSE 'running'
           END AS state
) now_in
CROSS JOIN LATERAL (
    SELECT array(SELECT w.native_state FROM machine_state_map w
                 WHERE w.machine_id = m.machine_id AND w.state = now_in.state) AS words,
           -- What machine_states tells of the same state needs no reading.
           CASE WHEN told.state = now_in.state THEN told.ends_at ELSE '-infinity' END AS from_time
) same
LEFT JOIN LATERAL (
    SELECT max(s.time) AS time FROM tag t
    CROSS JOIN LATERAL (
        SELECT o.time FROM telemetry_sample o
        WHERE o.tag_id = t.tag_id AND o.time < said.time AND o.time > same.from_time
          AND CASE
                  -- Polled states mostly say the same again.
                  WHEN said.good AND o.quality >= 192 AND o.value_text IS NOT DISTINCT FROM said.value_text
                       AND o.value IS NOT DISTINCT FROM said.value
                  THEN false
                  WHEN now_in.state <> 'unknown'
                  THEN o.quality < 192 OR coalesce(native_word(o.value, o.value_text) <> ALL (same.words), true)
                  ELSE o.quality >= 192 AND EXISTS (
                      SELECT FROM machine_state_map w
                      WHERE w.machine_id = m.machine_id AND w.native_state = native_word(o.value, o.value_text))
              END
        ORDER BY o.time DESC LIMIT 1
    ) s
    WHERE t.machine_id = m.machine_id AND t.metric_name = m.state_metric
) other ON true
LEFT JOIN LATERAL (
    SELECT min(s.time) AS time FROM tag t
    CROSS JOIN LATERAL (
        SELECT f.time FROM telemetry_sample f
        WHERE f.tag_id = t.tag_id AND f.time > coalesce(other.time, '-infinity') AND f.time <= said.time
        ORDER BY f.time LIMIT 1
    ) s
    WHERE t.machine_id = m.machine_id AND t.metric_name = m.state_metric
) began ON true
LEFT JOIN LATERAL (
    -- The same words as in kpi/alarms.py say that there is nothing to report.
    SELECT CASE WHEN lower(trim(s.word)) NOT IN ('', '0', 'false', 'normal', 'ok', 'none', 'unavailable', 'inactive')
                THEN s.word END AS word
    FROM tag t
    CROSS JOIN LATERAL (
        SELECT n.time, native_word(n.value, n.value_text) AS word FROM telemetry_sample n
        WHERE n.tag_id = t.tag_id AND n.quality >= 192 ORDER BY n.time DESC LIMIT 1
    ) s
    WHERE t.machine_id = m.machine_id AND t.metric_name = m.fault_metric
    ORDER BY s.time DESC LIMIT 1
) fault ON true;

COMMENT ON VIEW live_machine_status IS 'What each machine does now and since when, as fresh as its samples.';
COMMENT ON COLUMN live_machine_status.machine_id IS 'Machine of the plant file.';
COMMENT ON COLUMN live_machine_status.machine_name IS 'Its name for people.';
COMMENT ON COLUMN live_machine_status.line IS 'Its line.';
COMMENT ON COLUMN live_machine_status.state IS 'running, idle, fault, setup ... as the plant file''s state map says, or unknown.';
COMMENT ON COLUMN live_machine_status.state_since IS 'When it began; NULL where that is not known yet.';
COMMENT ON COLUMN live_machine_status.unknown_reason IS 'silent, never_heard, no_state_sample, bad_quality, unmapped_state, no_count_today, nothing_booked.';
COMMENT ON COLUMN live_machine_status.native_state IS 'The controller''s own word.';
COMMENT ON COLUMN live_machine_status.fault_code IS 'The newest code of the fault tag while the machine is in fault.';
COMMENT ON COLUMN live_machine_status.last_heard_at IS 'Event time of the newest sample of any tag.';
COMMENT ON COLUMN live_machine_status.derived_until IS 'How far machine_states is told; NULL: never derived.';

-- What people said about machines, each entry with what became of it, in the order it was entered. For people: nothing
-- is derived from it. Which entry gives a part of a stop its reason is read from downtime_events (reason_entry), so
-- that this view cannot disagree with the numbers.

-- The first undo that takes an entry back and is not taken back itself. `seen` ends rings of undos.
CREATE OR REPLACE FUNCTION undo_in_force(entry text, seen text[] DEFAULT '{}') RETURNS text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    candidate text;
BEGIN
    FOR candidate IN
        SELECT u.source_key FROM operator_entries u
        WHERE u.kind = 'undo' AND u.undoes = entry
        ORDER BY u.entered_at, u.source_key COLLATE "C"
    LOOP
        IF candidate <> ALL (seen) AND undo_in_force(candidate, seen || entry) IS NULL THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE OR REPLACE VIEW operator_entry_history AS
WITH said AS (
    SELECT e.*,
           undo_in_force(e.source_key) AS undone_by_entry,
           e.kind IN ('reason', 'split', 'merge') AS is_about_a_stop,
           (SELECT max(coalesce(d.time_end, d.as_of)) FROM downtime_events d WHERE d.reason_entry = e.source_key)
               AS holds_until
    FROM operator_entries e
)
SELECT s.machine_id,
       s.entered_at,
       s.source_key,
       s.kind,
       s.starts_at,
       s.ends_at,
       s.entered_by,
       s.source,
       s.old_reason_code,
       s.reason_code,
       s.quantity,
       s.scrap_category,
       s.scrap_reason,
       s.note,
       s.why,
       s.undoes,
       CASE
           WHEN s.undone_by_entry IS NOT NULL THEN 'undone'
           WHEN merged.entries IS NOT NULL THEN 'overruled'
           WHEN others.entries IS NOT NULL AND s.holds_until IS NULL AND s.kind = 'reason' THEN 'overruled'
           WHEN others.entries IS NOT NULL THEN 'partly overruled'
           WHEN s.is_about_a_stop AND NOT there.has_stop AND there.is_derived THEN 'without a stop'
           ELSE 'in force'
       END AS state,
       u.source_key AS undone_by_entry,
       u.entered_by AS undone_by,
       u.entered_at AS undone_at,
       u.why AS undone_why,
       CASE WHEN s.undone_by_entry IS NULL THEN coalesce(merged.entries, others.entries) END AS overruled_by_entries,
       s.stored_at
FROM said s
LEFT JOIN operator_entries u ON u.source_key = s.undone_by_entry
-- Later merges that void a split; a system's merge voids no person's split. Without an end: to the end of the stop.
LEFT JOIN LATERAL (
    SELECT string_agg(m.source_key, ', ' ORDER BY m.entered_at, m.source_key) AS entries
    FROM operator_entries m
    WHERE s.kind = 'split' AND m.kind = 'merge' AND m.machine_id = s.machine_id
      AND (m.entered_at, m.source_key COLLATE "C") > (s.entered_at, s.source_key COLLATE "C")
      AND m.starts_at < s.starts_at
      AND s.starts_at < coalesce(m.ends_at, (
          SELECT max(coalesce(d.stop_ended_at, 'infinity')) FROM downtime_events d
          WHERE d.machine_id = m.machine_id AND d.stop_started_at <= m.starts_at
            AND coalesce(d.stop_ended_at, 'infinity') > m.starts_at))
      AND (m.source IN ('operator', 'supervisor', 'maintenance', 'quality')
           OR s.source NOT IN ('operator', 'supervisor', 'maintenance', 'quality'))
      AND undo_in_force(m.source_key) IS NULL
) merged ON true
-- Entries that give their reason where this one wanted to give its own.
LEFT JOIN LATERAL (
    SELECT string_agg(DISTINCT d.reason_entry, ', ') AS entries
    FROM downtime_events d
    WHERE s.is_about_a_stop AND s.reason_code IS NOT NULL AND d.machine_id = s.machine_id
      AND d.reason_entry <> s.source_key
      AND d.time_start < coalesce(s.ends_at, greatest(s.holds_until, s.starts_at + interval '1 microsecond'))
      AND coalesce(d.time_end, 'infinity') > s.starts_at
) others ON true
LEFT JOIN LATERAL (
    SELECT bool_or(m.state NOT IN ('running', 'unknown')) AS has_stop, count(*) > 0 AS is_derived
    FROM machine_states m
    WHERE s.is_about_a_stop AND m.machine_id = s.machine_id
      AND m.starts_at < coalesce(s.ends_at, s.starts_at + interval '1 microsecond')
      AND m.ends_at > s.starts_at
) there ON true
ORDER BY s.machine_id, s.entered_at, s.source_key COLLATE "C";

-- When scrap of parts fell since their cost changed.
SELECT s.machine_id, s.time
FROM scrap_events s
JOIN unnest(%(parts)s::text[], %(since)s::date[]) AS changed (part_number, since)
    ON s.part_number = changed.part_number AND s.production_date >= changed.since

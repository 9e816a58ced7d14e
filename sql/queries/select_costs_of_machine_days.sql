-- Every loss of some machines on some production dates, with what it cost.
SELECT l.machine_id, l.production_date, l.shift, l.part_number, l.loss, l.reason_code, l.cost, l.as_of
FROM losses l
JOIN unnest(%(machines)s::text[], %(dates)s::date[]) AS asked (machine_id, production_date)
    USING (machine_id, production_date)

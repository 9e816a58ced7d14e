-- Pieces and rejects of each shift and part of the machines in %(days)s production dates up to one, this one included.
SELECT machine_id, part_number, production_date, shift, starts_at, ends_at, good_count, reject_count, rework_count
FROM oee_shift
WHERE production_date > %(date)s::date - %(days)s::integer AND production_date <= %(date)s
  AND machine_id = ANY(%(machines)s)
ORDER BY machine_id, part_number, starts_at, shift

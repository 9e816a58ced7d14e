-- Parts of each machine, part number and the plant per production day.
SELECT level, member, period_start AS production_date, good_count::double precision AS good,
       (good_count + reject_count + rework_count)::double precision AS total
FROM kpi_rollup
WHERE period = 'day' AND shift = '' AND level IN ('plant', 'machine', 'part') AND member <> ''
  AND period_start > %(last)s::date - %(days)s::int AND period_start <= %(last)s
ORDER BY level, member, period_start

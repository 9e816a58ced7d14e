-- What the ERP says of the orders that were worked on at a machine in [start, end); open ones that began long before are
-- not looked at again. Operations of an order on one machine count its parts together.
SELECT work_order, min(started_at) AS started_at,
       CASE WHEN count(*) = count(ended_at) THEN max(ended_at) END AS ended_at,
       bool_and(status <> 'open') AS is_closed,
       CASE WHEN count(*) = count(completed_qty) THEN sum(completed_qty) END AS completed_qty,
       CASE WHEN count(*) = count(scrap_qty) THEN sum(scrap_qty) END AS scrap_qty,
       CASE WHEN count(*) = count(source_modified_at) THEN max(source_modified_at) END AS reported_at
FROM work_orders
WHERE machine_id = %(machine_id)s AND started_at IS NOT NULL
GROUP BY work_order
HAVING min(started_at) < %(end)s
   AND (count(*) > count(ended_at) OR max(ended_at) > %(start)s)
   AND (count(*) = count(ended_at) OR min(started_at) >= %(earliest)s)
ORDER BY work_order

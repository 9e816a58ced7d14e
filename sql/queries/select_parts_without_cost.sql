-- Parts with an order but without any material cost.
SELECT DISTINCT w.part_number
FROM work_orders w
WHERE w.part_number IS NOT NULL AND NOT EXISTS (SELECT FROM part_costs c WHERE c.part_number = w.part_number)
ORDER BY 1

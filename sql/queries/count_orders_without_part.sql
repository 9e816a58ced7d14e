-- Open orders, and those of them without a part number.
SELECT count(*), count(*) FILTER (WHERE part_number IS NULL) FROM work_orders WHERE status = 'open'

-- Open orders one list of a system brought, in the order of the fields of a landed order.
SELECT work_order, operation, part_number, part_description, machine_id, order_qty, completed_qty, scrap_qty,
       material_cost_per_unit, labor_rate_per_hour, currency, customer_name, due_date, status, started_at, ended_at,
       source_modified_at, order_unit
FROM work_orders
WHERE source = %(source)s AND source_resource = %(resource)s AND status = 'open'

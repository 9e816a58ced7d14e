-- The version of an order that counts from now on.
INSERT INTO work_orders (work_order, operation, part_number, part_description, machine_id, order_qty, completed_qty,
                         scrap_qty, material_cost_per_unit, labor_rate_per_hour, currency, customer_name, due_date,
                         status, started_at, ended_at, source_modified_at, order_unit, source, source_resource)
VALUES (%(work_order)s, %(operation)s, %(part_number)s, %(part_description)s, %(machine_id)s, %(order_qty)s,
        %(completed_qty)s, %(scrap_qty)s, %(material_cost_per_unit)s, %(labor_rate_per_hour)s, %(currency)s,
        %(customer_name)s, %(due_date)s, %(status)s, %(started_at)s, %(ended_at)s, %(source_modified_at)s,
        %(order_unit)s, %(source)s, %(source_resource)s)
ON CONFLICT (work_order, operation) DO UPDATE SET
    part_number = EXCLUDED.part_number,
    part_description = EXCLUDED.part_description,
    machine_id = EXCLUDED.machine_id,
    order_qty = EXCLUDED.order_qty,
    completed_qty = EXCLUDED.completed_qty,
    scrap_qty = EXCLUDED.scrap_qty,
    material_cost_per_unit = EXCLUDED.material_cost_per_unit,
    labor_rate_per_hour = EXCLUDED.labor_rate_per_hour,
    currency = EXCLUDED.currency,
    customer_name = EXCLUDED.customer_name,
    due_date = EXCLUDED.due_date,
    status = EXCLUDED.status,
    started_at = EXCLUDED.started_at,
    ended_at = EXCLUDED.ended_at,
    source_modified_at = EXCLUDED.source_modified_at,
    order_unit = EXCLUDED.order_unit,
    source = EXCLUDED.source,
    source_resource = EXCLUDED.source_resource,
    last_synced = now()

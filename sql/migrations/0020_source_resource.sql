-- A system may bring orders by several of its lists: what is missing from one was not deleted because of it in another.
ALTER TABLE work_orders ADD COLUMN source_resource text;

-- What other systems say of how long a part takes on a machine at best, and what their quantities are counted in.
CREATE TABLE ideal_cycles (
    part_number         text NOT NULL,
    machine_id          text NOT NULL,
    since               date NOT NULL,
    ideal_cycle_time_ms double precision NOT NULL CHECK (ideal_cycle_time_ms > 0),
    source              text NOT NULL,
    last_synced         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (part_number, machine_id, since)
);
ALTER TABLE work_orders ADD COLUMN order_unit text;

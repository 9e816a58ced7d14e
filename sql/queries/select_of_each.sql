-- A query about a machine in [start, end), for several machines with a span each, in the order in which they are given.
SELECT of_one.*, asked.machine_id AS of_machine
FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
         AS asked (machine_id, starts_at, ends_at)
CROSS JOIN LATERAL (
/* of one */
) AS of_one

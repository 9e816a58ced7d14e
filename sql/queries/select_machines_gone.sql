-- Machines that have computed rows and are not in the plant file.
SELECT DISTINCT machine_id FROM plan_calendar WHERE machine_id <> ALL(%(machines)s) ORDER BY machine_id

-- What was made in breaks and outside the plan, where the convention keeps that out of OEE; nothing elsewhere.
ALTER TABLE oee_hourly
    ADD COLUMN off_plan_good_count   numeric NOT NULL DEFAULT 0,
    ADD COLUMN off_plan_reject_count numeric NOT NULL DEFAULT 0,
    ADD COLUMN off_plan_run_us       bigint NOT NULL DEFAULT 0;
ALTER TABLE oee_shift
    ADD COLUMN off_plan_good_count   numeric NOT NULL DEFAULT 0,
    ADD COLUMN off_plan_reject_count numeric NOT NULL DEFAULT 0,
    ADD COLUMN off_plan_run_us       bigint NOT NULL DEFAULT 0;
ALTER TABLE kpi_rollup
    ADD COLUMN off_plan_good_count   numeric NOT NULL DEFAULT 0,
    ADD COLUMN off_plan_reject_count numeric NOT NULL DEFAULT 0,
    ADD COLUMN off_plan_run_us       bigint NOT NULL DEFAULT 0;

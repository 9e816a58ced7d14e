-- Figures measured elsewhere for a shift: on paper, by another system.
ALTER TABLE operator_entries DROP CONSTRAINT operator_entries_kind_check;
ALTER TABLE operator_entries ADD CONSTRAINT operator_entries_kind_check
    CHECK (kind IN ('reason', 'split', 'merge', 'scrap', 'production', 'figure', 'note', 'undo'));
ALTER TABLE operator_entries ADD COLUMN measure text;
ALTER TABLE operator_entries ADD COLUMN figure numeric;
ALTER TABLE operator_entries ADD CONSTRAINT operator_entries_figure_check
    CHECK ((kind = 'figure') = (measure IS NOT NULL) AND (kind = 'figure') = (figure IS NOT NULL));

-- The same quantity from several mouths, and how far apart they are. Rows of an order: shift ''; of a shift: work_order ''.
CREATE TABLE reconciliation (
    machine_id          text NOT NULL,
    production_date     date NOT NULL,
    shift               text NOT NULL,
    work_order          text NOT NULL,
    measure             text NOT NULL,
    starts_at           timestamptz NOT NULL,
    ends_at             timestamptz,
    machine_value       double precision,
    erp_value           double precision,
    operator_value      double precision,
    vendor_value        double precision,
    paper_value         double precision,
    cycle_value         double precision,
    erp_difference      double precision,
    operator_difference double precision,
    vendor_difference   double precision,
    paper_difference    double precision,
    cycle_difference    double precision,
    erp_share           double precision,
    operator_share      double precision,
    vendor_share        double precision,
    paper_share         double precision,
    cycle_share         double precision,
    gap_value           double precision NOT NULL,
    null_reason         text,
    remark              text,
    as_of               timestamptz NOT NULL,
    PRIMARY KEY (machine_id, production_date, shift, work_order, measure)
);
CREATE INDEX ON reconciliation (production_date);
CREATE INDEX ON reconciliation (starts_at);

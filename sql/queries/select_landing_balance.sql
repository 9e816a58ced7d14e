-- Rows that came in against what became of them, over all files of a dataset.
SELECT count(*) AS files,
       coalesce(sum(rows_in), 0)::bigint AS rows_in,
       coalesce(sum(rows_stored), 0)::bigint AS rows_stored,
       coalesce(sum(rows_quarantined), 0)::bigint AS rows_quarantined,
       coalesce(sum(rows_duplicate), 0)::bigint AS rows_duplicate,
       count(*) FILTER (WHERE error IS NOT NULL) AS files_with_error
FROM landed_file
WHERE dataset = %(dataset)s

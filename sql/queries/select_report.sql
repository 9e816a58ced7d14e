-- A report in the columns of the registry.
SELECT production_date, plant_oee, html, plain_text, fingerprint, as_of
FROM daily_report WHERE production_date = %(production_date)s

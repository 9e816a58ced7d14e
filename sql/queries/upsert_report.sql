-- The report of a day; one that says the same is left as it is.
INSERT INTO daily_report (production_date, plant_oee, summary, html, plain_text, fingerprint, as_of)
VALUES (%(production_date)s, %(plant_oee)s, %(summary)s::jsonb, %(html)s, %(plain_text)s, %(fingerprint)s, %(as_of)s)
ON CONFLICT (production_date) DO UPDATE
SET plant_oee = EXCLUDED.plant_oee, summary = EXCLUDED.summary, html = EXCLUDED.html,
    plain_text = EXCLUDED.plain_text, fingerprint = EXCLUDED.fingerprint, as_of = EXCLUDED.as_of, made_at = now()
WHERE daily_report.fingerprint <> EXCLUDED.fingerprint

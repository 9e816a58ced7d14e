-- The guide's name and columns over anomaly_scores. Its score fell with what is unusual; this one rises.
CREATE OR REPLACE VIEW ml_anomalies AS
SELECT starts_at AS time,
       machine_id,
       detector || '_anomaly' AS anomaly_type,
       upper(severity) AS severity,
       (100 * reject_count / nullif(piece_count, 0))::double precision AS scrap_rate_pct,
       anomaly_score,
       contributors::jsonb AS deviating_parameters,
       hypotheses::jsonb AS likely_causes
FROM anomaly_scores
WHERE episode > 0;

-- Episodes that go on, and those of the last hours that are over.
SELECT a.machine_id, a.detector, a.starts_at, a.ends_at, a.is_open, a.severity, a.part_number, a.contributors,
       a.hypotheses
FROM anomaly_scores a
WHERE a.episode > 0 AND a.is_open AND a.detector <> 'vibration' AND a.ends_at > %(now)s - interval '3 hours'
ORDER BY a.machine_id, a.detector, a.starts_at

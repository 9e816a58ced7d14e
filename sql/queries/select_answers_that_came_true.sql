-- Stops the model answered before anybody had named their cause, and what was named then, newest first.
SELECT cause, coded_category, confidence
FROM downtime_causes
WHERE stop_started_at >= %(start)s AND stop_started_at < %(end)s
  AND answered_by = 'model' AND NOT in_training AND coded_category IS NOT NULL

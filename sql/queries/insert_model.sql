INSERT INTO model_registry (
    model_name, version, status, status_reason, algorithm, trained_from, trained_until, judged_from, judged_until,
    row_count, features, feature_version, score_name, score, baseline_score, champion_score, metrics,
    data_fingerprint, code_version, training_trigger, content_hash, trained_at)
SELECT %(model_name)s, coalesce(max(version), 0) + 1, %(status)s, %(why)s, %(algorithm)s, %(trained_from)s,
       %(trained_until)s, %(judged_from)s, %(judged_until)s, %(row_count)s, %(features)s, %(feature_version)s,
       %(score_name)s, %(score)s, %(baseline_score)s, %(champion_score)s, %(metrics)s, %(data_fingerprint)s,
       %(code_version)s, %(training_trigger)s, %(content_hash)s, now()
FROM model_registry WHERE model_name = %(model_name)s
RETURNING version

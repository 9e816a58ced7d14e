SELECT model_name, version, status, status_reason, is_pinned, algorithm, trained_from, trained_until, judged_from,
       judged_until, row_count, features, feature_version, score_name, score, baseline_score, champion_score, metrics,
       data_fingerprint, code_version, training_trigger, content_hash, trained_at
FROM model_registry
WHERE %(model_name)s::text IS NULL OR model_name = %(model_name)s
ORDER BY model_name, version DESC

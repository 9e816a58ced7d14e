-- The hot data of a dataset begin later now; they never begin earlier again.
INSERT INTO hot_data (dataset, hot_since) VALUES (%(dataset)s, %(hot_since)s)
ON CONFLICT (dataset) DO UPDATE
SET hot_since = greatest(hot_data.hot_since, EXCLUDED.hot_since), dropped_at = now()

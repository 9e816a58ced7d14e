-- The plant settings in force.
SELECT version, settings FROM plant_settings ORDER BY version DESC LIMIT 1

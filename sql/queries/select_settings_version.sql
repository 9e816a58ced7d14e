-- Which version of the plant settings is in force.
SELECT version, fingerprint, noticed_at FROM plant_settings ORDER BY version DESC LIMIT 1

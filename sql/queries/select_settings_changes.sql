-- The latest changes of settings, for people.
SELECT c.noticed_at, c.setting, c.old_value, c.new_value, s.first_day, s.last_day
FROM settings_change c
JOIN plant_settings s USING (version)
ORDER BY c.version DESC, c.position
LIMIT %(most)s

-- One setting that a version says otherwise than the version before.
INSERT INTO settings_change (version, position, setting, old_value, new_value)
VALUES (%(version)s, %(position)s, %(setting)s, %(old)s, %(new)s)

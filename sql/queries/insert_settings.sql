-- A version of the plant settings that was not there before.
INSERT INTO plant_settings (fingerprint, settings, first_day, last_day, marked)
VALUES (%(fingerprint)s, %(settings)s, %(first_day)s, %(last_day)s, %(marked)s)
RETURNING version

-- What goes out together gets one number before it goes, which stays through all attempts.
UPDATE alert_message SET batch = %(batch)s, attempts = attempts + 1 WHERE message_id = ANY (%(messages)s)

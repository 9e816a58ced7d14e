-- They were accepted.
UPDATE alert_message SET state = 'sent', sent_at = %(now)s, problem = NULL WHERE message_id = ANY (%(messages)s)

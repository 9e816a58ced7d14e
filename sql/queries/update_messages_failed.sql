-- They were not accepted: later again.
UPDATE alert_message SET retry_at = %(retry_at)s, problem = %(problem)s WHERE message_id = ANY (%(messages)s)

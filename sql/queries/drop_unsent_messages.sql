-- What nobody was told yet of an alert that is over, because quiet hours last: it needs no telling. What waits for a
-- channel that failed is told all the same.
UPDATE alert_message SET state = 'dropped', problem = 'resolved before it was due'
WHERE alert_id = %(alert_id)s AND state = 'waiting' AND due_at > %(now)s

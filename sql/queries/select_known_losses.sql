-- Losses and reasons that have occurred on any machine, longest first.
SELECT loss, reason_code FROM losses GROUP BY 1, 2 ORDER BY sum(loss_us) DESC, 1, 2

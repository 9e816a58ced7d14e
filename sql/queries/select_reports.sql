-- Every daily report.
SELECT production_date, html FROM daily_report ORDER BY production_date

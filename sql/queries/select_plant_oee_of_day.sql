-- OEE of the plant on a production date from elements; NULL where there is no planned time or an ideal time is missing.
SELECT CASE
           WHEN sum(planned_time_us) > 0
                AND NOT bool_or(ideal_good_time_us IS NULL AND good_count + reject_count + rework_count > 0)
           THEN coalesce(sum(ideal_good_time_us), 0) / sum(planned_time_us)
       END
FROM oee_hourly WHERE production_date = %(date)s

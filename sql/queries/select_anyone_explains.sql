-- Whether anybody ever entered something about a stop.
SELECT EXISTS (SELECT FROM operator_entries WHERE kind = ANY(%(kinds)s::text[]))

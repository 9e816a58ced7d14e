-- What a sample says as text, a number without needless decimals (1.0 is 1), as the plant file's state map has it.
CREATE OR REPLACE FUNCTION native_word(value double precision, value_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(value_text, CASE WHEN value = trunc(value) THEN trunc(value)::numeric::text ELSE value::text END)
$$;

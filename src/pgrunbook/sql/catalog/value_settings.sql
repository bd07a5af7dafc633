-- How are these settings in a session of this role, if it sets nothing itself?
SELECT name, reset_val FROM pg_settings WHERE name = ANY (%(names)s::text[]) ORDER BY name

-- How does a session of this role read and print values here, if it sets nothing itself?
SELECT name, reset_val FROM pg_settings
 WHERE name IN ('DateStyle', 'IntervalStyle', 'TimeZone', 'extra_float_digits')
 ORDER BY name

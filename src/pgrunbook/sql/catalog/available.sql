-- Which of these extensions could be made here, or are there already?
SELECT name FROM pg_available_extensions WHERE name = ANY (%(names)s::text[])
 UNION
SELECT extname FROM pg_extension WHERE extname = ANY (%(names)s::text[])

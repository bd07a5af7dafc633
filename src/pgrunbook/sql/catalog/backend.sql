-- Is this server process, of a session of ours, still there?
SELECT pid FROM pg_stat_activity WHERE pid = %(pid)s AND application_name LIKE 'pgrunbook %%'

-- Cancel the wait of another session's commit for a synchronous standby, so many milliseconds after its transaction began;
-- but let it wait for some. Ends as soon as that transaction has.
DO LANGUAGE plpgsql $$
DECLARE
  began timestamptz := (SELECT xact_start FROM pg_catalog.pg_stat_activity WHERE pid = %(pid)s);
  waits timestamptz;
BEGIN
  WHILE EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = %(pid)s AND xact_start = began) LOOP
    IF EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = %(pid)s AND wait_event = 'SyncRep') THEN
      waits := coalesce(waits, clock_timestamp());
      IF clock_timestamp() >= greatest(began + %(limit_ms)s * interval '1 ms', waits + interval '20 ms') THEN
        PERFORM pg_catalog.pg_cancel_backend(%(pid)s);
        EXIT;
      END IF;
    END IF;
    PERFORM pg_catalog.pg_sleep(0.005);
    PERFORM pg_catalog.pg_stat_clear_snapshot();
  END LOOP;
END
$$

-- Which timeline does this server write? A standby writes none. What pg_control_checkpoint() says is true only some minutes
-- after a promotion.
SELECT CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END AS timeline

-- migrate:up transaction:false
CREATE TABLE mail_log (at timestamptz, line text);
REINDEX TABLE CONCURRENTLY mail_queue;
VACUUM (ANALYZE) mail_queue;

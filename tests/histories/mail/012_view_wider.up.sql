DROP VIEW mail_failed;
CREATE VIEW mail_failed AS SELECT recipient, attempts FROM mail_queue WHERE state = 'failed';

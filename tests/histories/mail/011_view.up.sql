CREATE VIEW mail_failed AS SELECT id, recipient FROM mail_queue WHERE state = 'failed';

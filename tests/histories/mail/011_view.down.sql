DROP VIEW mail_failed;

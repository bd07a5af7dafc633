ALTER TABLE mail_queue ALTER attempts TYPE integer, ALTER attempts SET NOT NULL;

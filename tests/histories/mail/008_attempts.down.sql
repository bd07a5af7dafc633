ALTER TABLE mail_queue ALTER attempts TYPE smallint, ALTER attempts DROP NOT NULL;

-- migrate:up
ALTER TABLE mail_queue ADD priority int DEFAULT 0 NOT NULL;

-- migrate:down
ALTER TABLE mail_queue DROP priority;

CREATE TYPE mail_state AS ENUM ('new', 'sent');
ALTER TABLE mail_queue ADD state mail_state NOT NULL DEFAULT 'new';

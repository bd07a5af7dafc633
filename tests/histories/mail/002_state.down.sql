ALTER TABLE mail_queue DROP state;
DROP TYPE mail_state;

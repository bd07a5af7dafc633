ALTER TYPE mail_state ADD VALUE 'failed' BEFORE 'sent';

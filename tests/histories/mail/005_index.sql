-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY mail_queue_new ON mail_queue (id) WHERE state = 'new';

-- +goose Down
DROP INDEX CONCURRENTLY mail_queue_new;

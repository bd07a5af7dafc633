-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION mail_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('mail', NEW.id::text);
  RETURN NULL;
END;
$$;
-- +goose StatementEnd
CREATE TRIGGER mail_notify AFTER INSERT ON mail_queue FOR EACH ROW EXECUTE FUNCTION mail_notify();

-- +goose Down
DROP TRIGGER mail_notify ON mail_queue;
DROP FUNCTION mail_notify();

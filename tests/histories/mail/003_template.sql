-- +goose Up
CREATE TABLE mail_template (name text PRIMARY KEY, body text);
INSERT INTO mail_template VALUES ('hello', 'Hello :name, it is 12:30');

-- +goose Down
DROP TABLE mail_template;

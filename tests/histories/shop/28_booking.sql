CREATE TABLE shop.bookings (
  room text,
  during tstzrange NOT NULL,
  EXCLUDE USING gist (during WITH &&) WHERE (room IS NULL)
);
CREATE STATISTICS shop.bookings_stats (dependencies, ndistinct) ON room, during FROM shop.bookings;
CREATE INDEX bookings_room ON shop.bookings USING btree (room text_pattern_ops, upper(during)) WITH (fillfactor = 90);
ALTER TABLE shop.bookings ALTER room SET STATISTICS 500, CLUSTER ON bookings_room;

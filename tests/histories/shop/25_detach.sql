ALTER TABLE archive.events DETACH PARTITION archive.events_2023;
ALTER TABLE archive.events_2023 RENAME TO old_events;

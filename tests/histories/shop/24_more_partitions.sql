CREATE TABLE archive.events_2025 (LIKE archive.events INCLUDING DEFAULTS INCLUDING INDEXES);
ALTER TABLE archive.events ATTACH PARTITION archive.events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE archive.events_rest PARTITION OF archive.events DEFAULT;
INSERT INTO archive.events (at, kind) VALUES ('2023-05-05', 'a'), ('2024-05-05', 'x'), ('2030-01-01', 'z');

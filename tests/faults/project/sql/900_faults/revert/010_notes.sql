-- title: Drop notes

DROP TABLE notes;

-- title: notes belong to teams

-- check: a note belongs to a team that exists
DO $$
BEGIN
  INSERT INTO notes (id, team_id) OVERRIDING SYSTEM VALUE VALUES (0, -1);
  RAISE EXCEPTION 'a note of no team was taken';
EXCEPTION
  WHEN foreign_key_violation THEN NULL;
END $$;

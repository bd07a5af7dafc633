-- title: people have nicknames

-- check: whoever was there before has an empty one
DO $$
BEGIN
  IF EXISTS (SELECT FROM people WHERE nickname <> '') THEN
    RAISE EXCEPTION 'somebody has a nickname';
  END IF;
END $$;

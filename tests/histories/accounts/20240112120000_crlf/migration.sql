-- AlterTable
ALTER TABLE "User" ADD COLUMN "bio" TEXT DEFAULT 'one line';

CREATE FUNCTION "shout"("t" TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$
BEGIN
    RETURN upper(t) || '!';
END;
$$;

ALTER TABLE "User" ADD COLUMN "externalId" INT UNIQUE NULLS NOT DISTINCT;
ALTER TABLE "User" ADD CONSTRAINT "either" CHECK ("externalId" IS NULL OR ("bio" <> 'x' OR "bio" IN ('y')));

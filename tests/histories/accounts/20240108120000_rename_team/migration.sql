ALTER TABLE "Team" RENAME TO "Organisation";
ALTER TABLE "Organisation" RENAME CONSTRAINT "Team_pkey" TO "Organisation_pkey";
ALTER TABLE "Organisation" RENAME CONSTRAINT "Team_ownerId_fkey" TO "Organisation_ownerId_fkey";

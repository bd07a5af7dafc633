CREATE TABLE "_Members" ("A" TEXT NOT NULL, "B" INTEGER NOT NULL);
CREATE UNIQUE INDEX "_Members_AB_unique" ON "_Members"("A", "B");
CREATE INDEX "_Members_B_index" ON "_Members"("B");
ALTER TABLE "_Members" ADD CONSTRAINT "_Members_A_fkey" FOREIGN KEY ("A") REFERENCES "Organisation"("id") ON DELETE CASCADE;

ALTER TABLE "_Members" ADD CONSTRAINT "_Members_AB_pkey" PRIMARY KEY USING INDEX "_Members_AB_unique";

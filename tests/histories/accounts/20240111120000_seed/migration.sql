INSERT INTO "User" ("email", "name", "createdAt") VALUES ('root@example.com', 'Root', '2024-01-01 00:00:00');
INSERT INTO "Organisation" ("id", "ownerId")
SELECT 'first', "id" FROM "User" WHERE "email" = 'root@example.com'
ON CONFLICT ("id") DO NOTHING;

-- Which roles are trusted? Our own, those that an owner of the database has made it a member of, superusers, and the owners
-- of the database: it and its members.
WITH RECURSIVE owner AS (
    SELECT datdba AS oid FROM pg_database WHERE datname = current_database()
), ours (oid) AS (
    SELECT oid FROM pg_roles WHERE rolname = current_user
     UNION
    SELECT m.roleid FROM ours JOIN pg_auth_members m ON m.member = ours.oid
     WHERE pg_has_role(m.grantor, (SELECT oid FROM owner), 'MEMBER') -- whoever may make roles could grant us one of theirs
)
SELECT oid FROM ours
 UNION ALL
SELECT oid FROM pg_roles WHERE pg_has_role(oid, (SELECT oid FROM owner), 'MEMBER') -- so is every superuser
 UNION ALL
SELECT oid FROM pg_roles WHERE rolname = 'pg_database_owner'

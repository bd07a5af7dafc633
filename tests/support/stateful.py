"""A small runbook whose files are edited, and its target, which is altered by hand and crashes when
it is told to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from pgrunbook.postgres.embedded import Server
from support.databases import Database, temporary

RUNBOOK = "700_stateful"
URL = "STATEFUL_URL"  # the environment variable that holds the target's

# What the target holds before. `initial` is called for each row while the index on it is built.
SAMPLE = """
CREATE TABLE people (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO people (name) VALUES ('Ada'), ('Grace');
CREATE FUNCTION initial(name TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF to_regprocedure('crash.in_build()') IS NOT NULL THEN
    PERFORM crash.in_build();
  END IF;
  RETURN left(name, 1);
END $$;
"""


@dataclass(frozen=True)
class Block:
    """The statements of a block; an edit that changes what they make; its verify and its revert
    script.
    """

    statements: Sequence[str]
    edit: tuple[str, str]
    check: str
    revert: str
    header: str = ""

    def deploy(self, *, edited: bool) -> Sequence[str]:
        """The statements of the file, as it was or edited."""
        return [
            statement.replace(*self.edit) if edited else statement for statement in self.statements
        ]


NOTES, NICKNAME, LOOKUP, INITIAL = (
    "010_notes",
    "020_people_nickname",
    "030_nickname_lookup",
    "040_people_initial",
)
BLOCKS = {
    NOTES: Block(
        (
            "CREATE TABLE notes (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT "
            "NOT NULL);",
            "CREATE INDEX notes_body ON notes (body);",
            "COMMENT ON TABLE notes IS 'What people want to remember';",
        ),
        edit=("body TEXT", "body VARCHAR(200)"),
        check="INSERT INTO notes (id, body) OVERRIDING SYSTEM VALUE VALUES (0, 'buy milk');",
        revert="DROP TABLE notes;",
    ),
    NICKNAME: Block(
        (
            "ALTER TABLE people ADD COLUMN nickname VARCHAR(40) NOT NULL DEFAULT '';",
            "COMMENT ON COLUMN people.nickname IS 'What friends say';",
        ),
        edit=("VARCHAR(40)", "VARCHAR(80)"),
        check="UPDATE people SET nickname = 'Al';",
        revert="ALTER TABLE people DROP COLUMN nickname;",
    ),
    LOOKUP: Block(
        ("CREATE INDEX people_nickname ON people (nickname);",),
        edit=("(nickname)", "(nickname, name)"),
        check="SELECT 'people_nickname'::regclass;",
        revert="DROP INDEX people_nickname;",
    ),
    INITIAL: Block(
        ("CREATE INDEX CONCURRENTLY people_initial ON people (initial(name));",),
        edit=("(initial(name))", "(initial(name), name)"),
        check="SELECT 'people_initial'::regclass;",
        revert="DROP INDEX CONCURRENTLY people_initial;",
        header="-- transaction: no\n",
    ),
}


@dataclass(frozen=True)
class Alteration:
    """Something that is done by hand where an object is there, and how it is taken back; `was`: how
    the object was before. `harmless`: no run minds.
    """

    object: str
    do: str
    undo: str
    harmless: bool = False


INDEXES = ("notes_body", "people_nickname", "people_initial")
INVALIDATE = {
    f"index {name}": f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass"
    for name in INDEXES
}
ALTERATIONS = (
    Alteration(
        "column people.nickname",
        "ALTER TABLE people ALTER nickname TYPE TEXT",
        "ALTER TABLE people ALTER nickname TYPE {was}",
    ),
    Alteration(
        "column notes.body", "ALTER TABLE notes ADD extra TEXT", "ALTER TABLE notes DROP extra"
    ),
    *(Alteration(f"index {name}", f"DROP INDEX {name}", "{was}") for name in INDEXES),
    *(Alteration(key, sql, sql.replace("false", "true")) for key, sql in INVALIDATE.items()),
    Alteration(
        "comment notes", "COMMENT ON TABLE notes IS 'Obsolete'", BLOCKS[NOTES].statements[-1]
    ),
    Alteration(
        "column notes.body", "CREATE INDEX own ON notes (id, body)", "DROP INDEX own", harmless=True
    ),
    Alteration(
        "column people.id",
        "ALTER TABLE people ADD own TEXT",
        "ALTER TABLE people DROP own",
        harmless=True,
    ),
)

# How else a block may be made by hand.
OTHERWISE = {
    NOTES: ["of the other file", "first statement"],
    NICKNAME: ["of the other file"],
    LOOKUP: ["of the other file", "invalid"],
    INITIAL: ["of the other file", "invalid"],
}


@dataclass(frozen=True)
class Folder:
    """The project's folder, with its one runbook."""

    root: Path

    def make(self) -> None:
        """Make everything but the deploy scripts, which `write` does."""
        for kind in (
            "runbooks",
            *(f"sql/{RUNBOOK}/{script}" for script in ("deploy", "verify", "revert")),
        ):
            (self.root / kind).mkdir(parents=True)
        (self.root / "pgrunbook.toml").touch()
        self.sample.write_text(SAMPLE)
        cell = {
            "cell_type": "code",
            "metadata": {"tags": ["parameters"]},
            "source": 'target = "embedded"\nmode = "apply"',
        }
        applied = [
            {"cell_type": "code", "metadata": {}, "source": f'run.apply("{name}")'}
            for name in BLOCKS
        ]
        (self.root / f"runbooks/{RUNBOOK}.ipynb").write_text(
            json.dumps({"cells": [cell, *applied]})
        )
        for name, block in BLOCKS.items():
            self.path("verify", name).write_text(
                f"-- title: {name} is there\n\n-- check: it is of use\n{block.check}\n"
            )
            self.path("revert", name).write_text(
                f"-- title: Take {name} back\n{block.header}{block.revert}\n"
            )

    @property
    def sample(self) -> Path:
        """What the target holds before."""
        return self.root / "sample.sql"

    def path(self, kind: str, name: str) -> Path:
        """The file of a block: its deploy, verify or revert script."""
        return self.root / "sql" / RUNBOOK / kind / f"{name}.sql"

    def write(self, name: str, *, edited: bool, remark: str = "") -> None:
        """Write the deploy script of a block, as it was or edited, with a remark that changes
        nothing.
        """
        block = BLOCKS[name]
        lines = [
            f"-- title: Make {name}\n-- why: To be tested.\n{block.header}",
            *block.deploy(edited=edited),
        ]
        self.path("deploy", name).write_text("\n".join([*lines, remark, ""]))


class Moment(StrEnum):
    """When a run is hit: as its next block begins, by one of its sessions being lost; or in the
    middle of the block.
    """

    LOOK = "its read-only session is lost"
    LOCK = "the session of its lock is lost"
    WORK = "the session that applies blocks is lost"
    ALL = "all its sessions are lost"
    LEDGER = "while the ledger is made"
    BUILD = "while an index is built concurrently"
    DDL = "after a statement of DDL"
    ROW = "at the ledger's row"
    COMMIT = "at the commit of the ledger's row"


# The order in which a run opens its sessions.
_SESSIONS = (Moment.LOOK, Moment.LOCK, Moment.WORK)

# Makes a function that ends the session which calls it, and something that calls it then; nothing
# else notices.
_DIE = """
CREATE SCHEMA crash;
CREATE FUNCTION crash.die() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_terminate_backend(pg_backend_pid());
  PERFORM pg_sleep(60); -- is interrupted
END $$;
"""
_AT_DDL = """
CREATE FUNCTION crash.at_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE {}) THEN
    PERFORM crash.die();
  END IF;
END $$;
CREATE EVENT TRIGGER crash ON ddl_command_end EXECUTE FUNCTION crash.at_ddl();
"""
_AT_ROW = """
CREATE FUNCTION crash.at_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.event <> 'started' THEN
    PERFORM crash.die();
  END IF;
  RETURN NEW;
END $$;
CREATE {} INSERT ON pgrunbook.blocks {} FOR EACH ROW EXECUTE FUNCTION crash.at_row();
"""
_TRIGGERS = {
    Moment.LEDGER: _AT_DDL.format("object_identity = 'pgrunbook.verdicts'"),
    Moment.DDL: _AT_DDL.format("schema_name = 'public'"),
    Moment.BUILD: "CREATE FUNCTION crash.in_build() RETURNS void LANGUAGE sql AS 'SELECT "
    "crash.die()'",
    Moment.ROW: _AT_ROW.format("TRIGGER crash BEFORE", ""),
    Moment.COMMIT: _AT_ROW.format(
        "CONSTRAINT TRIGGER crash AFTER", "DEFERRABLE INITIALLY DEFERRED"
    ),
}

_OBJECTS = """
SELECT format('column %s.%s', c.relname, a.attname), format_type(a.atttypid, a.atttypmod)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT format('index %s', c.relname), pg_get_indexdef(c.oid) || CASE WHEN x.indisvalid THEN '' ELSE ' INVALID' END
  FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid
 WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('comment %s', concat_ws('.', c.relname, a.attname)), d.description
  FROM pg_description d JOIN pg_class c ON c.oid = d.objoid AND c.relnamespace = 'public'::regnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
 WHERE d.classoid = 'pg_class'::regclass
"""
_VERDICTS = """
SELECT r.run_id::text, coalesce(array_agg(v.verdict ORDER BY v.id) FILTER (WHERE v.verdict IS NOT NULL), '{}')
  FROM pgrunbook.runs r LEFT JOIN pgrunbook.verdicts v USING (run_id)
 GROUP BY r.run_id
"""


@dataclass(frozen=True)
class Target:
    """The database that the runs work on, as it is seen and changed from outside, by the
    superuser.
    """

    database: Database

    @cached_property
    def conn(self) -> psycopg.Connection[TupleRow]:
        """A session that stays, even when no new ones are let in."""
        return self.database.connect()

    def execute(self, *statements: str) -> None:
        """Do something by hand, each statement in a transaction of its own."""
        for statement in statements:
            self.conn.execute(statement.encode())

    def objects(self) -> dict[str, str]:
        """Each column that is there, `column notes.body`, with its type; each index, with what it
        is on; and each comment.
        """
        return dict(self.conn.execute(_OBJECTS).fetchall())

    def has_ledger(self) -> bool:
        """Whether a run has ever made it."""
        return self.conn.execute("SELECT to_regclass('pgrunbook.verdicts')").fetchone() != (None,)

    def done(self) -> list[tuple[str, str]]:
        """The blocks that the ledger lists as done, each with its event, in order."""
        query = "SELECT block, event FROM pgrunbook.blocks WHERE event <> 'started' ORDER BY id"
        return (
            [(block, event) for block, event in self.conn.execute(query)]
            if self.has_ledger()
            else []
        )

    def verdicts(self) -> dict[str, list[str]]:
        """The verdicts of each run that the ledger knows."""
        return dict(self.conn.execute(_VERDICTS).fetchall()) if self.has_ledger() else {}

    @contextmanager
    def crash(self, moment: Moment, *, cut_off: bool) -> Iterator[None]:
        """At that moment of the `with` block, the run's session is lost; `cut_off`: and no new ones
        are let in.
        """
        server = Database(self.database.server, "postgres")
        allow = f"ALTER DATABASE {self.database.name} ALLOW_CONNECTIONS"
        if cut_off:
            server.execute(f"{allow} false")
        if moment in _TRIGGERS:
            self.conn.execute((_DIE + _TRIGGERS[moment]).encode())
        else:
            self._end(range(3) if moment is Moment.ALL else [_SESSIONS.index(moment)])
        try:
            yield
        finally:
            server.execute(f"{allow} true")
            self.conn.execute("DROP SCHEMA IF EXISTS crash CASCADE")

    def _end(self, sessions: Sequence[int]) -> None:
        query = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND "
            "application_name ~ '^pgrunbook'"
            " ORDER BY backend_start DESC LIMIT 3"
        )
        pids = [pid for (pid,) in self.conn.execute(query)][::-1]
        for number in sessions:
            self.conn.execute("SELECT pg_terminate_backend(%s, 10000)", [pids[number]])


@dataclass(frozen=True)
class Reference:
    """What psql makes of the folder's files, on copies of the template.

    `shapes`: the objects that each block makes, by its name and whether its file is edited.
    """

    server: Server
    template: str
    folder: Folder
    shapes: Mapping[tuple[str, bool], Mapping[str, str]]
    _dumps: dict[tuple[bool, ...], str] = field(default_factory=dict)

    @classmethod
    def of(cls, server: Server, template: str, folder: Folder) -> Reference:
        """Find the shapes; leaves the files as they were at first."""
        shapes: dict[tuple[str, bool], Mapping[str, str]] = {}
        for edited in (True, False):
            with temporary(server, template) as database:
                before = Target(database).objects()
                for name in BLOCKS:
                    folder.write(name, edited=edited)
                    database.psql("--quiet", "--file", folder.path("deploy", name))
                    after = Target(database).objects()
                    shapes[name, edited] = {key: after[key] for key in after.keys() - before.keys()}
                    before = after
        return cls(server, template, folder, shapes)

    def dump(self, edited: Mapping[str, bool]) -> str:
        """The schema that the files make as they are now, as pg_dump writes it; `edited` says of
        each how it is.
        """
        key = tuple(edited[name] for name in BLOCKS)
        if key not in self._dumps:
            with temporary(self.server, self.template) as database:
                for name in BLOCKS:
                    database.psql("--quiet", "--file", self.folder.path("deploy", name))
                self._dumps[key] = schema(database)
        return self._dumps[key]


def schema(database: Database) -> str:
    """The schema but for the ledger, as pg_dump writes it."""
    return database.dump("--schema-only", "--exclude-schema", "pgrunbook")

"""What pg_dump has written of a schema, restored into a copy, where it is somebody else's code: a
superuser can do on this machine what we can, and none ever runs an expression of it.

What takes a superuser is made first, as long as nothing of the schema can be called by that; then
the copy's owner is a superuser no more, and makes the rest. An expression may be run when it is
read, planned (a generated column, a key of partitions) or executed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrunbook.errors import Failed
from pgrunbook.postgres import catalog, copy_place, programs
from pgrunbook.postgres.copy_place import CopyDatabase
from pgrunbook.postgres.programs import run_watched
from pgrunbook.postgres.session import Session

# OIDs of catalogs, of src/include/catalog/
_DEFAULT_PRIVILEGES = 826
_USER_MAPPING = 1418
_NAMESPACE = 2615
_EXTENSION = 3079
_EVENT_TRIGGER = 3466

STATISTICS = 18  # the first version whose dumps may hold what the planner knew

# What an owner's role must be allowed before an object is given to it; as no privilege is restored
# yet, everybody is, meanwhile.
_ALLOWED = """
SELECT format('CREATE ON SCHEMA %I', nspname) FROM pg_namespace
 WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL SELECT format('USAGE ON FOREIGN DATA WRAPPER %I', fdwname) FROM pg_foreign_data_wrapper
"""

# Who has made an extension may call all of it. What not everybody may call is for its server.
_NOT_FOR_EVERYBODY = """
SELECT format('ALTER ROUTINE %s OWNER TO CURRENT_USER', objoid::regprocedure)
  FROM pg_init_privs WHERE classoid = 'pg_proc'::regclass AND privtype = 'e'
"""

_OWNED = re.compile(r"ALTER SEQUENCE (.+?) OWNED BY ")

# Privileges on functions of the server's own: those that read its files are among them.
_OF_THE_SERVER = "ACL pg_catalog "


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of pg_restore's list: its number; the object's catalog and OID where it was dumped,
    both 0 if it is not an object; and what it is, such as `TABLE public users ada`.
    """

    number: int
    catalog: int
    oid: int
    what: str


@dataclass(frozen=True, slots=True)
class _Complaint:
    """What pg_restore could not do: the entry's number, 0 if it does not tell; how the command
    begins, up to options, which may hold a secret; and the server's error.
    """

    number: int
    command: str
    error: str


class Restore:
    """Restores the file into the copy. To be called in this order: `make_inert`, `make_the_rest`,
    `set_statistics`.
    """

    def __init__(self, copy: CopyDatabase, conn: Session, file: Path, *, roles: bool) -> None:
        """`conn` is a session on what was dumped; `roles`: with owners and privileges."""
        self._copy = copy
        self._file = file
        self._roles = roles
        self._complaints: list[_Complaint] = []
        self._made: set[int] = set()
        inert = catalog.rows(conn, "inert")
        self._inert = {(row["class"], row["oid"]) for row in inert}
        self._takes_a_superuser = any(row["privileged"] for row in inert)
        # extensions that no copy has, by their OIDs
        self.left_out: dict[int, str] = {}
        for row in catalog.rows(conn, "extensions"):
            if row["reaches_out"]:
                self.left_out[row["oid"]] = row["name"]
        withheld = [row["acl"] for row in catalog.rows(conn, "withheld")]
        self._withheld = (_OF_THE_SERVER, *withheld)
        self._entries = [entry for entry in self._list_entries() if not self._is_left_out(entry)]

    def _list_entries(self) -> Iterator[_Entry]:
        listed = _pg_restore(self._copy, "", "--list", str(self._file)).stdout
        for line in listed.splitlines():
            if match := re.match(r"(\d+); (\d+) (\d+) (.*)", line):
                yield _Entry(int(match[1]), int(match[2]), int(match[3]), match[4])

    def _is_left_out(self, entry: _Entry) -> bool:
        """Return whether it is not restored. A user mapping may hold a password, and what it is for
        is not to be reached from here: an extension that opens files and connections would. And who
        may use the target's machine may not use this one.
        """
        if entry.what.startswith("ACL "):
            return not self._roles or entry.what.startswith(self._withheld)
        if entry.catalog == _EXTENSION:
            return entry.oid in self.left_out
        return entry.catalog == _USER_MAPPING

    def make_inert(self) -> None:
        """Make schemas, extensions, and what takes a superuser; then let the copy's owner be one
        no more.
        """
        # An extension's script runs while there is nothing that it could take for its own.
        self._complaints += self._run_as_owner(
            lambda entry: entry.catalog in (_NAMESPACE, _EXTENSION)
        )
        with self._copy.superuser() as conn:
            for (statement,) in conn.execute(_NOT_FOR_EVERYBODY).fetchall():
                conn.execute(statement.encode())
        if self._takes_a_superuser:
            # --verbose names the entries that fail. Those depend on something that is made later:
            # they are tried again then.
            found = self._run_as_owner(self._is_inert, "--verbose")
            failed = {each.number for each in found if each.command.startswith("CREATE ")}
            self._made -= failed
            self._complaints += [each for each in found if each.number not in failed]
        self._copy.demote()

    def _is_inert(self, entry: _Entry) -> bool:
        return (entry.catalog, entry.oid) in self._inert or entry.what.startswith("SHELL TYPE ")

    def make_the_rest(self) -> None:
        """Make the rest without a superuser; then say who may do what, which calls nothing."""
        with self._with_owners_allowed():
            self._complaints += self._run_as_owner(lambda entry: not _is_last(entry))
        self._drop_sequences_without_table()
        self._copy.forget_settings()
        superuser = self._copy.server.conninfo(self._copy.name)
        self._complaints += self._run(superuser, _is_last, "--no-owner")

    def _drop_sequences_without_table(self) -> None:
        """Drop the sequences of columns that could not be made: whoever makes the table then would
        have another one chosen.
        """
        owned = [_OWNED.match(each.command) for each in self._complaints]
        if not any(owned):
            return
        with closing(copy_place.session(self._copy.conninfo)) as conn:
            for each in filter(None, owned):
                with suppress(psycopg.Error):  # it could not be made, either
                    conn.execute(f"DROP SEQUENCE {each[1]}".encode())

    @contextmanager
    def _with_owners_allowed(self) -> Iterator[None]:
        """Let roles own what is made, whatever they may: no privilege is restored yet."""
        with self._copy.superuser() as conn:
            allowed: list[str] = []
            if self._roles:
                allowed += [each for (each,) in conn.execute(_ALLOWED)]
            for each in allowed:
                conn.execute(f"GRANT {each} TO PUBLIC".encode())
            yield
            for each in allowed:
                # what was called meanwhile may have dropped it
                with suppress(psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedObject):
                    conn.execute(f"REVOKE {each} FROM PUBLIC".encode())

    def set_statistics(self) -> None:
        """Set what the planner knew. Comes last: each CREATE INDEX counts its table's rows anew."""
        chosen = self._write_list(self._entries)
        _pg_restore(self._copy, self._copy.conninfo, *chosen, "--statistics-only", str(self._file))

    def errors(self) -> list[str]:
        """Return what could not be made, a line each."""
        lines = []
        for each in self._complaints:
            if not each.command.startswith("COMMENT "):
                lines.append(f"{each.command}: {each.error}")
        return lines

    def _run_as_owner(self, which: Callable[[_Entry], bool], *options: str) -> list[_Complaint]:
        if not self._roles:
            options = (*options, "--no-owner")
        return self._run(self._copy.conninfo, which, *options)

    def _run(
        self, conninfo: str, which: Callable[[_Entry], bool], *options: str
    ) -> list[_Complaint]:
        """Make, of the entries that are not made yet, those; in the dump's order."""
        entries = [each for each in self._entries if each.number not in self._made and which(each)]
        if not entries:
            return []
        self._made |= {entry.number for entry in entries}
        given = [*self._write_list(entries), *options]
        if self._copy.server.version >= STATISTICS:
            given.append("--no-statistics")  # they are not made, but set
        done = _pg_restore(self._copy, conninfo, *given, str(self._file))
        return list(_complaints(done.stderr))

    def _write_list(self, entries: Iterable[_Entry]) -> tuple[str, str]:
        """Write the list of these entries, and return the options that name it."""
        chosen = self._file.with_name("list")
        chosen.write_text("".join(f"{entry.number};\n" for entry in entries), encoding="utf-8")
        return "--use-list", str(chosen)


def _is_last(entry: _Entry) -> bool:
    """Return whether it comes last: privileges, which later statements might lack; event triggers,
    which would see them.
    """
    last = entry.catalog in (_EVENT_TRIGGER, _DEFAULT_PRIVILEGES)
    return last or entry.what.startswith(("ACL ", "COMMENT - EVENT TRIGGER "))


def _pg_restore(
    copy: CopyDatabase, conninfo: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run pg_restore. Raises Failed if it is broken off; what it could not do, and went on after,
    is among its errors.
    """
    # nothing of the copy has to survive a crash; and no password is on the command line, which all
    # users of the machine can read
    parts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    password = parts.pop("password", "")
    where = ("--dbname", make_conninfo(**parts)) if conninfo else ()
    env = programs.environment(PGOPTIONS="-c synchronous_commit=off", PGPASSWORD=password)
    done = run_watched(
        copy.server.bin / "pg_restore", *where, *arguments, env=env, answers=copy.keeper
    )
    if done.returncode and "errors ignored on restore" not in done.stderr:
        raise Failed.of(
            "pg_restore was broken off: the copy is not complete",
            where="the copy of the schema",
            found=done.stderr.strip() or f"it ended with {done.returncode}",
            remedy="see the log of the embedded PostgreSQL, and whether the disk is full; then "
            "run again",
        )
    return done


def _complaints(said: str) -> Iterator[_Complaint]:
    """Yield what pg_restore has said of entries: with --verbose, which one it is at comes first."""
    number = 0
    for match in re.finditer(
        r"^pg_restore: from TOC entry (?P<number>\d+);|"
        r"ERROR: +(?P<error>.*)\n(?:(?!Command was: |pg_restore: ).*\n)*Command was: "
        r"(?P<command>[^(\n]*)",
        said,
        flags=re.MULTILINE,
    ):
        if match["number"]:
            number = int(match["number"])
        else:
            yield _Complaint(number, match["command"].strip(" ;"), match["error"])

"""Checks the server, the database and the ledger for what every run relies on: settings that change
what SQL does, encodings, objects of others that our statements would call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import psycopg
from pglast import ast

from pgrunbook.errors import Problem
from pgrunbook.inventory.description import describe
from pgrunbook.inventory.objects import Definition, Object
from pgrunbook.ledger import install, ledger, versions
from pgrunbook.ledger.drift import Drift
from pgrunbook.planning.checks import CheckResult, result
from pgrunbook.planning.roles import role_set
from pgrunbook.postgres import catalog, role_timeouts, trust
from pgrunbook.postgres.default_path import DefaultPath
from pgrunbook.postgres.session import Session
from pgrunbook.records.words import counted
from pgrunbook.runbooks.blocks import Block
from pgrunbook.secrets.encodings import is_distinctive
from pgrunbook.sqltext import search_paths


def check_shadows(conn: Session, schema: str) -> list[CheckResult]:
    """Check that no object in the schema, of a role that is not trusted, shadows one of pg_catalog:
    a block, a verify script or `%sql` would call that instead. Reads only.
    """
    return _results(
        f"schema {schema}", "holds nothing that shadows pg_catalog", trust.shadows(conn, schema)
    )


def report_path(path: DefaultPath, schema: str) -> Iterator[CheckResult]:
    """Report where names are looked up besides the schema, and where not though psql would. No
    result is a problem: a block may need nothing of that.
    """
    if path.behind:
        where = f"behind {schema} names are looked up in {', '.join(path.behind)}"
        yield CheckResult("search path", f"{where}, as it is set for {path.set_for}")
    for each in path.left_out:
        what = f"is left out of the search path that is set for {path.set_for}: {each.why}"
        ways = f"to have names looked up there, {each.remedy}; or name it in a header search_path"
        yield CheckResult(f"schema {each.schema}", f"{what}; {ways}")


def named_schemas(
    conn: Session, path: str, nodes: Collection[ast.Node], role: str = ""
) -> set[str]:
    """Return the schemas in which statements look names up, as far as their text tells, so that
    `check_shadows` can check them before anything runs.

    - `path` is the search path of the block's header.
    - `nodes` are its statements: they may set other paths.
    - `role` is who runs them at first, if it is not the session's: "$user" stands for its name.
    """
    found = {*(search_paths.schemas(path) or ())}.union(*map(search_paths.named, nodes))
    if any(map(search_paths.resets, nodes)):
        (row,) = catalog.rows(conn, "set_for", setting="search_path")
        found.update(search_paths.schemas_of_setting(row["value"]))
    if "$user" in found:
        found |= {role or conn.info.user, conn.info.user} | {*map(role_set, nodes)} - {"none"}
    return found - {"", "$user", "pg_catalog", "pg_temp"}


def check_ledger(conn: Session, *, there: bool, readable: bool) -> list[CheckResult]:
    """Check that the schema pgrunbook, if it exists, is a ledger that we trust, and whose version
    we know. Reads only; the ledger itself only if it is one.

    `there`: the schema exists; `readable`: this role may read its tables.
    """
    exists, untrusted = trust.untrusted_objects(conn)
    if untrusted or not there or not readable:
        return _results("ledger", "is nobody else's", untrusted)
    problems = install.missing_columns(conn, 1) if exists else [_NO_LEDGER]
    if problems:
        return _results("ledger", "is one", problems)
    version = versions.installed(conn)
    known = result(
        "ledger",
        "is of a version that we know",
        version <= versions.SCHEMA_VERSION,
        "is of a newer version",
        expected=f"version {versions.SCHEMA_VERSION} at most",
        found=f"version {version}",
        remedy="upgrade pgrunbook",
    )
    if known.problem:
        return [known]
    return [known, *_results("ledger", "is complete", install.missing_columns(conn, version))]


_NO_LEDGER = Problem(
    "is there, and is no ledger",
    where="schema pgrunbook",
    expected="none of that name, or the ledger",
    found="no table pgrunbook.blocks",
    remedy="ALTER SCHEMA pgrunbook RENAME TO …, or DROP SCHEMA pgrunbook if nobody needs it",
)


def check_triggers(conn: Session) -> list[CheckResult]:
    """Check that triggers fire, also those of foreign keys and, from version 17 on, event triggers.
    Reads only.
    """
    # Without triggers nothing checks the rows that a block changes, and what a verify script
    # expects to be refused passes. Without event triggers, whoever watches the schema does not see
    # our changes. https://www.postgresql.org/docs/current/runtime-config-client.html
    rows = "session_replication_role", "origin", "replica", _NO_TRIGGERS
    events = "event_triggers", "on", "off", _NO_EVENT_TRIGGERS
    return [
        _check_setting(conn, "fires triggers", *rows),
        _check_setting(conn, "fires event triggers", *events),
    ]


def check_counting(conn: Session) -> CheckResult:
    """Check that the server counts the rows that are written: the ledger records these counts, and
    a backfill pauses by the count of dead rows. Reads only.
    """
    return _check_setting(conn, "counts written rows", "track_counts", "on", "off", _COUNTS_NO_ROWS)


def check_backslashes(conn: Session, blocks: Iterable[Block]) -> Iterator[CheckResult]:
    """Check that the server takes a backslash in a string as it is, if a block has one: psql, and
    whoever reads the file, do so. Reads only.
    """
    if any("\\" in statement.sql for block in blocks for statement in block.statements):
        yield _check_setting(
            conn,
            "takes a backslash for itself",
            "standard_conforming_strings",
            "on",
            "off",
            _ESCAPES,
        )


def report_isolation(conn: Session) -> Iterator[CheckResult]:
    """Report a default_transaction_isolation above READ COMMITTED, which a block's transaction does
    not have: psql would run the file otherwise. No result is a problem.
    """
    (row,) = catalog.rows(conn, "set_for", setting="default_transaction_isolation")
    if row["value"].startswith("read "):
        return
    set_for = " in ".join(role_timeouts.who(row["role"], row["database"])) or "the server"
    what = f"default_transaction_isolation is {row['value']}, for {set_for}: each statement of a "
    yield CheckResult("server", f"{what}block sees what is committed when it begins, all the same")


_ESCAPES = "takes a backslash in a string for an escape, where the files are read with it as it is"
_NO_TRIGGERS = "fires no triggers in our sessions, and checks no foreign keys"
_NO_EVENT_TRIGGERS = (
    "fires no event triggers in our sessions: whoever watches the schema sees nothing"
)


_COUNTS_NO_ROWS = (
    "counts no rows in our sessions: nothing would tell which ones a block has written"
)


def _check_setting(
    conn: Session, check: str, setting: str, expected: str, bad_value: str, problem: str
) -> CheckResult:
    row = catalog.rows(conn, "set_for", setting=setting)[0]
    set_for = " in ".join(role_timeouts.who(row["role"], row["database"]))
    reset = role_timeouts.alter(row["role"], row["database"], setting)
    found, remedy = f"{row['value']}, set for {set_for}", reset
    if not set_for:
        found = row["value"]
        remedy = (
            f"{reset} -- if it is set there; else see postgresql.conf, and the options of "
            "PGOPTIONS and the service"
        )
    return result(
        "server",
        check,
        row["value"] != bad_value,
        problem,
        expected=f"{setting} = {expected}",
        found=found,
        remedy=remedy,
    )


def _results(where: str, check: str, problems: list[Problem]) -> list[CheckResult]:
    results = [CheckResult(problem.where, check, problem) for problem in problems]
    return results or [CheckResult(where, check)]


def check_catalog_is_utf8(conn: Session, schema: str) -> list[CheckResult]:
    """Check that names, definitions and comments of the schema are UTF-8: a database in SQL_ASCII
    keeps whatever bytes it is given. Reads only.
    """
    if conn.info.parameter_status("server_encoding") != "SQL_ASCII":
        return []
    problems = []
    for row in catalog.rows(conn, "texts", schema=schema):
        try:
            row["bytes"].decode()
        except UnicodeDecodeError:
            problems.append(
                Problem(
                    "holds bytes that are not UTF-8",
                    where=f"{row['kind']} {row['oid']}",
                    expected="names, definitions and comments in UTF-8",
                    found=row["bytes"].decode("utf-8", "backslashreplace"),
                    remedy="rename it, or write it anew, in UTF-8; the number is its OID",
                )
            )
    return _results(f"schema {schema}", "can be read as UTF-8", problems)


def check_passwords(conn: Session, passwords: Iterable[str]) -> list[CheckResult]:
    """Check that no password of this run is part of a name in the database. Records show names: the
    search for secrets would find it there only after the commit. Reads only.
    """
    # A short password, or an ordinary word, is part of many names by chance.
    searched = [each for each in passwords if is_distinctive(each)]
    if not searched:
        return []
    found = set()
    for row in catalog.rows(conn, "public_names", length=min(map(len, searched))):
        if any(password in row["name"] for password in searched):
            found.add(row["kind"])
    problems = []
    for kind in sorted(found):
        problem = Problem(
            f"a password of this run is also in the name of a {kind}, which everybody may read",
            where="password",
            expected="a password that is no name",
            remedy="change it, with \\password in psql; then run again",
        )
        problems.append(problem)
    return _results("password", "is no name in the database", problems)


def check_encoding(conn: Session, written: Callable[[], Mapping[str, str]]) -> list[CheckResult]:
    """Check that the database's encoding has every character that is to be written. Reads only.

    `written` returns the texts by where they stand; it is called only if the encoding may lack one.
    """
    encoding = conn.info.parameter_status("server_encoding") or ""
    if encoding in ("UTF8", "SQL_ASCII"):
        return []
    texts = written()
    missing = set()
    for each in sorted(set("".join(texts.values()))):
        if not each.isascii() and not _has(conn, each):
            missing.add(each)
    problems = []
    for where, text in texts.items():
        found = sorted(missing & set(text))
        if found:
            problems.append(
                Problem(
                    "holds characters that the database lacks",
                    where=where,
                    expected=f"characters of {encoding}, the encoding of the database",
                    found=", ".join(found),
                    remedy="write others instead",
                )
            )
    return _results("encoding", f"{encoding} has all that is to be written", problems)


def _has(conn: Session, character: str) -> bool:
    try:
        conn.execute(
            "SELECT convert(%s, 'UTF8', current_setting('server_encoding')::name)",
            [character.encode()],
        )
    except psycopg.errors.UntranslatableCharacter:
        return False
    return True


def report_readings(
    unread: Mapping[Object, tuple[Definition | None, Definition]],
) -> Iterator[CheckResult]:
    """Report the objects that are read anew: after an upgrade of the server, which may print them
    differently, or as an old ledger has their names alone. No result is a problem.
    """
    if not unread:
        return
    differing = []
    for each, (before, now) in sorted(unread.items()):
        if before is not None and before != now:
            differing.append(f"{each}: {describe(before, now)} → {describe(now, before)}")
    told_of = f"{len(unread)} objects are read anew by the next run that writes"
    yield CheckResult("ledger", "\n".join([told_of, *differing]))


def report_without_files(
    conn: Session, runbook: str, schema: str, files: Collection[str]
) -> Iterator[CheckResult]:
    """Report the blocks that the ledger has, and whose `files` are gone. No result is a problem:
    what they made stays, and is compared with the ledger like all else.
    """
    for row in ledger.without_files(conn, runbook, schema, files):
        why = (
            f"{row['event']} by run {row['run_id'][:8]}, and its file is gone: it stays as it is, "
            "and is not reverted"
        )
        yield CheckResult(row["block"], "has its file in deploy/", not_run=why)


def report_drift(drifted: Sequence[Drift]) -> Iterator[CheckResult]:
    """Report what other runbooks have set and somebody has altered, where no block touches it. It
    is no problem of this run.
    """
    if drifted:
        first = f"{drifted[0].problem.what}; {drifted[0].origin}"
        number = counted(len(drifted), "object")
        why = f"{number} of other runbooks drifted, which no block touches: {first}"
        yield CheckResult("drift", "is as runbooks have left it", not_run=why)


def report_event_triggers(conn: Session) -> Iterator[CheckResult]:
    """Report the event triggers that each change of the schema runs. No result is a problem, as
    they may well be wanted.
    """
    for row in catalog.rows(conn, "event_triggers"):
        runs = (
            f"runs {row['function']} of {row['function_owner']} at {row['event']}; owned by "
            f"{row['owner']}"
        )
        yield CheckResult(f"event trigger {row['name']}", runs)

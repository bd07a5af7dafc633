"""Checks that the server knows the words of what is to run: our parser has the grammar of one
version, the target that of another. Reads only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pglast
import psycopg

from pgrunbook.planning.checks import CheckResult
from pgrunbook.planning.decisions import Decision
from pgrunbook.planning.statement_errors import Pending
from pgrunbook.postgres.session import Session

_CHECK = "has no words that this server lacks"

# The server parses all of a text before it executes any of it. So each text ends with what is SQL
# in no version: that word is what it complains of if it knows all that stands before it, and
# nothing is executed. An error that is caught is in nobody's log. The first text is empty: what is
# said of it is what is said of one that is known.
_ASK = """\
DO $grammar$
DECLARE
    text text;
    complaint text;
    of_known text;
    complaints text[] := '{}';
BEGIN
    FOR text IN SELECT json_array_elements_text(current_setting('pgrunbook.texts')::json) LOOP
        BEGIN
            EXECUTE text || E'\\n;\\npgrunbook_ends_here';
        EXCEPTION WHEN syntax_error THEN
            GET STACKED DIAGNOSTICS complaint = MESSAGE_TEXT;
        END;
        of_known := coalesce(of_known, complaint);
        complaints := complaints || CASE WHEN complaint = of_known THEN '' ELSE complaint END;
    END LOOP;
    PERFORM set_config('pgrunbook.texts', array_to_json(complaints)::text, true);
END
$grammar$"""


def check(conn: Session, decisions: Sequence[Decision]) -> list[CheckResult]:
    """Return one result, or one for each statement that this server cannot parse."""
    # A server that is as new as our parser knows what that knows.
    ours = pglast.get_postgresql_version()[0]
    server = conn.info.server_version // 10_000
    # Where a backslash escapes, texts end elsewhere than our parser thinks.
    plain = conn.info.parameter_status("standard_conforming_strings") == "on"
    pending: list[Pending] = []
    for decision in decisions:
        for number in decision.statements if decision.pending else ():
            pending.append(Pending(decision.block, decision.block.statements[number]))
    if server >= ours or not pending or not plain:
        return []
    try:
        complaints = _complaints(conn, [each.statement.sql for each in pending])
    except psycopg.Error as exc:
        # where plpgsql may not be used, the server cannot be asked
        return [CheckResult("grammar", _CHECK, not_run=str(exc).splitlines()[0])]
    results = []
    for each, complaint in zip(pending, complaints, strict=True):
        if complaint:
            problem = each.problem(
                f"cannot be parsed by PostgreSQL {server}: {complaint}",
                expected=f"the grammar of PostgreSQL {server}, which is the target's",
                remedy=f"write it as PostgreSQL {server} has it",
            )
            results.append(CheckResult(problem.where, _CHECK, problem))
    return results or [CheckResult("grammar", _CHECK)]


def _complaints(conn: Session, texts: Sequence[str]) -> list[str]:
    """Return what the server says of each statement, empty where it knows all."""
    # Together first: most often it knows all.
    if not any(_ask(conn, [";\n".join(texts)])):
        return [""] * len(texts)
    return _ask(conn, texts)


def _ask(conn: Session, texts: Sequence[str]) -> list[str]:
    with conn.transaction():
        given = json.dumps(["", *texts])
        conn.execute("SELECT set_config('pgrunbook.texts', %s, true)", [given])
        conn.execute(_ASK.encode())
        row = conn.execute("SELECT current_setting('pgrunbook.texts')::json").fetchone()
    return [str(complaint) for complaint in row[0][1:]] if row else []

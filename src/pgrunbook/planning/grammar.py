"""Checks that the server can parse what is to run: our parser has the grammar of one version of
PostgreSQL, the target may have that of an older one. Reads only.
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

# How to have a statement parsed and not executed: the server parses all of a text before it
# executes any of it. So each text ends with a word that is no SQL in any version. If the server can
# parse all that stands before, it complains of that word, otherwise of an earlier one; nothing is
# executed. The first text is empty, and gives the complaint of a text that can be parsed. In a DO
# block, as an error that is caught there is written into no log.
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
    """Return one result, or one for each statement that this server cannot parse. No result if the
    server is as new as our parser.
    """
    ours = pglast.get_postgresql_version()[0]
    server = conn.info.server_version // 10_000
    # If a backslash escapes, strings end elsewhere than our parser thinks: another check refuses
    # that.
    plain = conn.info.parameter_status("standard_conforming_strings") == "on"
    pending: list[Pending] = []
    for decision in decisions:
        if decision.pending:
            pending += [Pending(decision.block, each) for each in decision.pending_statements]
    if server >= ours or not pending or not plain:
        return []
    try:
        complaints = _complaints(conn, [each.statement.sql for each in pending])
    except psycopg.Error as exc:
        # the role may not use plpgsql
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
    """Return the server's complaint about each statement; empty if it can parse it."""
    # All of them as one text first: most often the server has no complaint.
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

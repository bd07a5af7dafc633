"""squawk: what it knows of SQL without a database. What our own hazards say is left out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pgrunbook.errors import Failed, Refused
from pgrunbook.runbooks.blocks import Block

if TYPE_CHECKING:
    import pandas as pd

# The oldest PostgreSQL that a run takes (connection.OLDEST_SERVER): squawk leaves out what was
# mended by then.
POSTGRES_VERSION = "15"

# squawk's rules that do not hold for us, each with its reason. A rule that holds, but not for one
# file, is switched off in that file: `-- squawk-ignore-file RULE`, with the reason in the line
# above.
EXCLUDED = {
    "require-lock-timeout": "the engine sets lock_timeout for every block",
    "require-statement-timeout": "the engine sets statement_timeout for every block",
}
# What our own hazards say by the words of the SQL alone, and what they say once they know a target.
SAID_BY_HAZARDS = {
    "adding-foreign-key-constraint": "scans_under_lock",
    "ban-drop-column": "drops_column",
    "ban-drop-table": "drops_table",
    "ban-truncate-cascade": "truncates",
    "constraint-missing-not-valid": "scans_under_lock",
    "disallowed-unique-constraint": "scans_under_lock",
    "renaming-column": "renames",
    "renaming-table": "renames",
    "require-concurrent-index-creation": "locks_out_writes",
}
SAID_OF_A_TARGET = {
    "adding-field-with-default": "rewrites_table, if the default is volatile",
    "adding-not-nullable-field": "scans_under_lock, if no constraint says so already",
    "changing-column-type": "rewrites_table, if it does",
}
EXCLUDED_OUTSIDE_TRANSACTION = {
    "prefer-robust-stmts": "the catalog says how far a broken-off block came; IF NOT EXISTS keeps "
    "an invalid index",
}
EXCLUDED_FROM_REVERT = EXCLUDED | {
    "ban-drop-table": "takes away the table that the block made",
    "ban-drop-column": "takes away the column that the block made",
    "ban-drop-constraint": "takes away the constraint that the block made",
    "renaming-object": "brings back the former name",
    "changing-column-type": "brings back the former type",
}


class Complaint(NamedTuple):
    """What squawk says of one line."""

    line: int
    rule: str
    message: str
    remedy: str


def frame(blocks: Iterable[Block]) -> pd.DataFrame:
    """Return what squawk says of the SQL of blocks, as it is to run: what a file has an exception
    for is said too, what the hazards of a plan say is not.

    Index `block`; columns `rule`, `complaint` (str). Raises Refused if squawk is missing.
    """
    import pandas as pd  # here, because linting needs none

    excluded = EXCLUDED | SAID_BY_HAZARDS | SAID_OF_A_TARGET
    rows: dict[tuple[str, str, str], None] = {}  # each once, in the order in which they are said
    for block in blocks:
        for each in complaints(block.sql, block.name, excluded, transaction=block.transaction):
            rows[block.name, f"squawk:{each.rule}", each.message] = None
    columns = ["block", "rule", "complaint"]
    return pd.DataFrame(list(rows), columns=columns, dtype="str").set_index("block")


def complaints(
    sql: str, name: str, excluded: Mapping[str, str], *, transaction: bool
) -> Iterator[Complaint]:
    """Yield what squawk says of SQL. No .squawk.toml is read. Raises Refused if it is missing,
    Failed if it does not work.
    """
    # first beside the Python that runs: the virtual environment need not be activated
    folders = [sysconfig.get_path("scripts"), os.environ.get("PATH", "")]
    program = shutil.which("squawk", path=os.pathsep.join(folders))
    if not program:
        raise Refused.of("squawk is not installed", where="lint", remedy="pip install squawk-cli")
    options = [f"--config={os.devnull}", "--reporter=json", f"--pg-version={POSTGRES_VERSION}"]
    if transaction:
        options.append("--assume-in-transaction")
    else:
        excluded = {**excluded, **EXCLUDED_OUTSIDE_TRANSACTION}
    done = subprocess.run(  # noqa: S603  # what is run is squawk; the SQL is its input
        [program, *options, f"--exclude={','.join(excluded)}"],
        input=sql,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode not in (0, 1):  # 1: it has complaints
        raise Failed.of("squawk does not work", where=name, found=done.stderr.strip())
    for found in json.loads(done.stdout):
        rule = found["rule_name"]
        remedy = found["help"] or f"see https://squawkhq.com/docs/{rule}"
        yield Complaint(found["line"] + 1, rule, found["message"], remedy)

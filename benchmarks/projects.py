"""What the contestants of the benchmarks are given: databases, blocks, and a project of ours that
holds the same.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import peers
import psycopg
from measuring import Prepare

from pgrunbook.postgres import embedded

SAMPLE = peers.ROOT / "sql" / "sample.sql"
MANY = "900_many"
OURS, PSQL, DBMATE = "pgrunbook", "psql", "dbmate"
_CELLS = (
    'target = "embedded"\nmode = "apply"\nschema = "public"\nticket = ""\noperator = ""\n'
    'lock_timeout = "150ms"\nlock_budget = "5min"\nstatement_timeout = "30s"',
    f'import pgrunbook\n\nrun = pgrunbook.begin("{MANY}", globals())\nrun.identity',
    "run.preconditions()",
    "run.apply_all()",
    "run.verify()",
    "run.verdict()",
)


def blocks(count: int) -> dict[str, str]:
    """So many blocks of one table and one index each, by their names."""
    return {f"{n:04}_table": _block(n) for n in range(1, count + 1)}


def _block(n: int) -> str:
    return (
        f"CREATE TABLE table_{n:04} (\n  id BIGINT PRIMARY KEY,\n  name TEXT NOT NULL,\n"
        "  created_at TIMESTAMPTZ NOT NULL DEFAULT now()\n);\n"
        f"CREATE INDEX table_{n:04}_name ON table_{n:04} (name);\n"
    )


def fresh(server: embedded.Server, name: str, sample: Path | None = None) -> str:
    """An empty database, or one with the sample in it, in place of the one of that name; its
    connection string.
    """
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
    conninfo = embedded.database(server, name, sample)
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        # what making the database left to write is none of the contestant's
        conn.execute("CHECKPOINT")
    return conninfo


def of_001(folder: Path) -> None:
    """A copy of this project's runbook and SQL, which leaves its notebooks there."""
    for name in ("runbooks", "sql"):
        shutil.copytree(peers.ROOT / name, folder / name)
    shutil.copy(peers.ROOT / "pgrunbook.toml", folder)


def of_many(folder: Path, blocks: Mapping[str, str]) -> None:
    """A project whose one runbook applies these blocks."""
    deploy = folder / "sql" / MANY / "deploy"
    deploy.mkdir(parents=True)
    for name, sql in blocks.items():
        (deploy / f"{name}.sql").write_text(
            f"-- title: Create {name}\n-- why: To measure.\n\n{sql}"
        )
    (folder / "pgrunbook.toml").write_text("")
    (folder / "runbooks").mkdir()
    notebook(folder / "runbooks" / f"{MANY}.ipynb", _CELLS, tagged=True)


def notebook(path: Path, cells: Sequence[str], *, tagged: bool = False) -> None:
    """A notebook of these code cells, the first of them tagged `parameters` if so."""
    made = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(cells)
    ]
    if tagged:
        made[0]["metadata"] = {"tags": ["parameters"]}
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    path.write_text(
        json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    )


def run(folder: Path, runbook: str, conninfo: str) -> list[peers.Command]:
    """`pgrunbook run` with its defaults, in the project of that folder."""
    arguments = ["run", runbook, "--target", "env:BENCH", "--no-progress"]
    env = {"PGRUNBOOK_ROOT": str(folder), "BENCH": conninfo}
    return [peers.Command([sys.executable, "-m", "pgrunbook", *arguments], env)]


def contestants(folder: Path, server: embedded.Server, count: int) -> dict[str, Prepare]:
    """What applies so many blocks to an empty database, by the contestants' names."""
    made = blocks(count)

    def job(contestant: str) -> peers.Job:
        fresh(server, "bench")
        place = Path(tempfile.mkdtemp(dir=folder, prefix=f"{contestant}-"))
        return peers.Job(server, "bench", made, place, "5min")

    def ours() -> list[peers.Command]:
        own = job(OURS)
        of_many(own.folder, made)
        return run(own.folder, MANY, own.conninfo)

    tools = {
        PSQL: peers.psql_in_one_call,
        DBMATE: peers.dbmate,
        "pgmigrate": peers.pgmigrate,
        "yoyo": peers.yoyo,
        "Alembic": peers.alembic,
        **({"sqitch": peers.sqitch} if peers.SQITCH.exists() else {}),
    }
    return {OURS: ours} | {
        name: lambda name=name, commands=commands: commands(job(name))  # type: ignore[misc]
        for name, commands in tools.items()
    }


def record_bytes(folder: Path) -> dict[str, int]:
    """The size of a record in the archive of a project in this folder: the executed notebook, and
    all of its files.
    """
    seal = next(folder.rglob("outputs/**/*.dsse.json"))
    stem = seal.name.removesuffix(".dsse.json")
    files = [path for path in seal.parent.iterdir() if path.name.startswith(stem)]
    return {
        "notebook": (seal.parent / f"{stem}.ipynb").stat().st_size,
        "record": sum(path.stat().st_size for path in files),
    }

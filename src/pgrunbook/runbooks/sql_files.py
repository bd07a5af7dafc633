"""Which files are a runbook's SQL, by their names alone: `deploy/NAME.sql`, and of a block with
variants `deploy/NAME/VARIANT.sql`; the same for `verify/` and `revert/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pgrunbook.errors import Problem

# The folders of a runbook's SQL.
KINDS = ("deploy", "verify", "revert")


def block_paths(folder: Path) -> dict[str, Path]:
    """Return the SQL files and the folders in a folder, in order, by the names of their blocks.

    Hidden ones are left alone: editors and JupyterLab leave copies there, and a shell's
    `deploy/*.sql` has none of them.
    """
    found = sorted(path for path in folder.glob("[!.]*") if path.is_dir() or path.suffix == ".sql")
    return {path.name.removesuffix(".sql"): path for path in found}


def script_paths(folder: Path) -> Iterator[Path]:
    """Yield the SQL files that a runbook's folder has, of every kind, in order."""
    for kind in KINDS:
        for path in block_paths(folder / kind).values():
            if path.is_dir():
                yield from variant_paths(path)
            else:
                yield path


def variant_paths(folder: Path) -> list[Path]:
    """Return the SQL files of a block's variants, in order."""
    return sorted(folder.glob("[!.]*.sql"))


# How other programs, and other operating systems, write the ending of a SQL file.
_LIKE_SQL = (".sql", ".psql", ".pgsql")


def stray_files(folder: Path) -> Iterator[tuple[str, Problem]]:
    """Yield the SQL files that nothing would run: with another ending, or in a folder of another
    case, too deep, or beside a folder of the same name; and what is not a file.
    """
    taken = set(script_paths(folder))
    kinds = [path for path in folder.glob("[!.]*") if path.name.casefold() in KINDS]
    files: list[Path] = []
    for kind in kinds:
        files += kind.rglob("*")
    for path in sorted(files):
        name = path.relative_to(folder).as_posix()
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if is_hidden or path.suffix.casefold() not in _LIKE_SQL or path.is_dir():
            continue
        if not path.exists():
            yield name, Problem("is a link that leads nowhere", name, found=str(path.readlink()))
        elif path not in taken:
            yield (
                name,
                Problem(
                    "is none of the runbook's files: nothing would run it",
                    where=name,
                    expected="deploy/NAME.sql, verify/NAME.sql or revert/NAME.sql; of a block with "
                    "variants deploy/NAME/VARIANT.sql, and then no deploy/NAME.sql",
                    remedy="rename it, or move it elsewhere",
                ),
            )

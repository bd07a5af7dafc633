"""What is run: the digests of a runbook's files and the versions of what runs them, so that they
can be found again.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pgrunbook.runbooks import digests, notebooks, sql_files
from pgrunbook.runbooks.source import Source

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sources:
    """What a run runs, each with its SHA-256.

    - `files`: the notebook, which comes first, and the SQL files; by their paths from the project's
      root.
    - `code`: the notebook's code, by its path, and the project's Python files that it imports. Not
      its text, parameters and outputs, which JupyterLab saves into the same file.
    - `cells`: (id, kind, SHA-256 of its text) of each cell but that of the parameters.
    """

    files: Mapping[str, str]
    code: Mapping[str, str] = field(default_factory=dict)
    cells: Sequence[tuple[str, str, str]] = ()

    @classmethod
    def of(cls, notebook: Path, source: Source) -> Sources:
        """Return the files of a runbook as it stands on the disk, and of its SQL as it was read."""
        path = f"runbooks/{notebook.name}"
        folder = f"sql/{notebook.stem}"
        scripts = {f"{folder}/{script.name}": script.source_sha256 for script in source.scripts()}
        cells = [cell for cell in notebooks.cells(notebook) if not cell.declares]
        code = "\n\n".join(cell.source for cell in cells if cell.kind == "code")
        return cls(
            {path: _sha256(notebook.read_bytes()), **scripts},
            {path: _sha256(code.encode()), **_digest_imports(notebook)},
            [(cell.id, cell.kind, _sha256(cell.source.encode())) for cell in cells],
        )

    @property
    def versions(self) -> dict[str, str]:
        """The versions of pgrunbook and of what it stands on, by their names."""
        used = {name: version(name) for name in ("pgrunbook", "psycopg", "pglast", "papermill")}
        return used | {"Python": platform.python_version()}

    def frame(self) -> pd.DataFrame:
        """Return one row a file but for its kind: index `file`; columns `deploy`, `verify`,
        `revert`, how each digest begins.

        The notebook, which is of no kind, stands under `deploy`.
        """
        # here, because it takes a third of a second, and not everybody needs it
        import pandas as pd

        notebook, *scripts = self.files
        shown = digests.short(self.files.values())
        rows = {notebook.split("/")[1]: {"deploy": shown[self.files[notebook]]}}
        by_name = {}
        for path in scripts:  # sql/001_name/deploy/010_block.sql
            _, _, kind, name = path.split("/", 3)
            by_name[name, kind] = shown[self.files[path]]
        for (name, kind), digest in sorted(by_name.items()):
            rows.setdefault(name.removesuffix(".sql"), {})[kind] = digest
        frame = pd.DataFrame.from_dict(
            rows, orient="index", columns=["deploy", "verify", "revert"], dtype="str"
        )
        return frame.fillna("").rename_axis("file")


def code_digest(notebook: Path, folder: Path) -> str:
    """Return the SHA-256 of what a runbook runs, as it stands on the disk: of its notebook's code
    cells, those of the parameters too, and of the SQL files in this folder, each under its name;
    and of the Python files that the cells import. Raises Refused if the notebook is none.
    """
    parts = [cell.source for cell in notebooks.cells(notebook) if cell.kind == "code"]
    for path in sql_files.script_paths(folder):
        parts += [path.relative_to(folder).as_posix(), _sha256(path.read_bytes())]
    return _sha256(json.dumps([*parts, *_digest_imports(notebook).items()]).encode())


def _digest_imports(notebook: Path) -> dict[str, str]:
    """Return the digests of the project's Python files that a notebook imports, by their paths."""
    root = notebook.parent.parent
    found = {}
    for path in _imported_files(notebook):
        found[path.relative_to(root).as_posix()] = _sha256(path.read_bytes())
    return found


def _imported_files(notebook: Path) -> list[Path]:
    """Return the Python files of the project that the cells import, and that these import in turn:
    a kernel works in the project's root, where Python looks first. Of a package, all of it.
    """
    root = notebook.parent.parent
    found: dict[Path, None] = {}
    sources: list[str | bytes] = []
    for cell in notebooks.cells(notebook):
        if cell.kind == "code":
            sources.append(cell.source)
    while sources:
        for name in _imports(sources.pop()):
            files = [root / f"{name}.py"]
            if not files[0].is_file():
                files = sorted((root / name).rglob("*.py"))
            for path in files:
                if path not in found:
                    found[path] = None
                    sources.append(path.read_bytes())
    return sorted(found)


def _imports(source: str | bytes) -> set[str]:
    """Return the modules and packages that Python imports, but for those inside its own package. Of
    a cell in which IPython has words of its own, those that a line tells.
    """
    names: set[str] = set()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        if isinstance(source, str):
            for package, packages in _IMPORT.findall(source):
                for each in (package or packages).split(","):
                    names.update(re.findall(r"^\s*(\w+)", each))
        return names
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+(\w+)|import[ \t]+(.+))", re.MULTILINE)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

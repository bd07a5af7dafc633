"""The Python files of a project that a notebook's cells import: what runs may be theirs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pgrunbook.runbooks import notebooks


def imported_files(notebook: Path) -> list[Path]:
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

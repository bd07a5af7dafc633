"""The reviewer's pages: a static site made of an archive, an index and one page per record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from os.path import relpath
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from nbformat import from_dict

from pgrunbook import atomic, rendering
from pgrunbook.answers import answers, moment
from pgrunbook.archive import SEAL, Archive, Seal, sha256_of
from pgrunbook.ending import final
from pgrunbook.errors import Unreadable
from pgrunbook.record import UNENDED, Record

COLUMNS = ["started", "verdict", "seal", "runbook", "target", "database", "mode", "took", "operator", "ticket"]
FILTERS = ["verdict", "runbook", "target", "operator", "ticket"]


@dataclass(frozen=True)
class Row:
    """A record in the index. `name`: the notebook, from the archive's root on; `page`: its page, from the site's."""

    name: str
    page: str
    started: str
    verdict: str
    runbook: str
    target: str
    database: str
    mode: str
    seconds: float
    operator: str
    ticket: str
    seal: str


@dataclass(frozen=True)
class Site:
    """The site of an archive, in its folder `site`.

    The page of a sealed record is made once, as nothing that it says can change; `index.jsonl` keeps the rows of the
    index for it. Both are made anew for another version of pgrunbook.
    """

    archive: Archive

    @property
    def root(self) -> Path:
        """The site's folder."""
        return self.archive.root / "site"

    def build(self, *, anew: bool = False) -> tuple[int, int]:
        """Write what is missing, or all of it; how many pages were made, and how many records there are. The page of a
        record that is gone goes too.
        """
        known = self._known()
        rows, made = [], 0
        for notebook in self._notebooks():
            row = known.pop(self.archive.name(notebook), None)
            if anew or row is None or not row.seal.startswith("number") or not self.archive.is_sealed(notebook):
                row, made = self._page(notebook), made + 1
            rows.append(row)
        for gone in known.values():
            (self.root / gone.page).unlink(missing_ok=True)
        rows.sort(key=lambda row: row.started, reverse=True)
        self._index(rows)
        return made, len(rows)

    def _notebooks(self) -> Iterator[Path]:
        return (path for path in self.archive.files() if path.suffix == ".ipynb" and not path.name.startswith("."))

    # -- the index -------------------------------------------------------------------------------------------

    def _known(self) -> dict[str, Row]:
        try:
            first, *lines = (self.root / "index.jsonl").read_text(encoding="utf-8").splitlines()
            if json.loads(first) != _MADE_BY:
                return {}
            return {row.name: row for row in (Row(**json.loads(line)) for line in lines)}
        except (OSError, ValueError, TypeError):  # it can be made anew
            return {}

    def _index(self, rows: list[Row]) -> None:
        values = {name: sorted({getattr(row, name) for row in rows} - {""}) for name in FILTERS}
        filters = [(name, name.capitalize()) for name in FILTERS]
        html = _render("index.html.j2", root="", rows=rows, columns=COLUMNS, filters=filters, values=values)
        self._write("index.html", html)
        for name in ("style.css", "index.js"):
            self._write(name, (files("pgrunbook") / "templates" / name).read_text(encoding="utf-8"))
        kept = [json.dumps(vars(row), ensure_ascii=False) for row in rows]
        self._write("index.jsonl", "\n".join([json.dumps(_MADE_BY), *kept]) + "\n")

    # -- a record --------------------------------------------------------------------------------------------

    def _page(self, notebook: Path) -> Row:
        """Write the page of a record. One bad notebook, or one of another version, must not cost the others theirs."""
        seal, altered = self._seal(notebook)
        try:
            return self._write_page(notebook, Record.read(notebook), seal, altered)
        except (ValueError, LookupError, TypeError, AttributeError) as exc:
            empty = Record({"cells": [], "metadata": {}})
            why = f"{type(exc).__name__}, {exc}"
            return self._write_page(notebook, empty, seal, altered, unreadable=why)

    def _write_page(
        self, notebook: Path, record: Record, seal: Seal | None, altered: list[str], *, unreadable: str = ""
    ) -> Row:
        verdict, reason = ("unknown", "") if unreadable else _ending(record, is_sealed=bool(seal or altered))
        row = self._row(notebook, record, verdict, seal, altered)
        html = _render(
            "record.html.j2",
            root=f"{relpath('.', Path(row.page).parent)}/",
            row=row,
            verdict=verdict,
            reason=reason,
            altered=altered,
            unreadable=unreadable,
            answers=answers(record, seal, altered),
            cells=list(rendering.cells(record.notebook)),
            seal=seal,
            keys=[keyid[:12] for keyid in seal.envelope.signatures] if seal else [],
        )
        self._write(row.page, html)
        return row

    def _seal(self, notebook: Path) -> tuple[Seal | None, list[str]]:
        """The seal of a record, and which of its files are not as it says."""
        path = notebook.with_name(notebook.stem + SEAL)
        if not path.exists():
            return None, []
        try:
            seal = self.archive.read(path)
        except (Unreadable, OSError):
            return None, [self.archive.name(path)]
        subjects = {resource.name: self.archive.root / resource.name for resource in seal.statement.subject}
        digests = {name: sha256_of(file) if file.is_file() else "" for name, file in subjects.items()}
        changed = [r.name for r in seal.statement.subject if digests[r.name] != r.sha256]
        own = self.archive.name(notebook)
        return seal, changed if seal.notebook == own else [own, *changed]

    def _row(self, notebook: Path, record: Record, verdict: str, seal: Seal | None, altered: list[str]) -> Row:
        name = self.archive.name(notebook)
        known, given = record.identity, record.parameters
        signed = ", signed" if seal and seal.envelope.signatures else ", not signed"
        state = f"number {seal.sequence}{signed}" if seal else "not sealed"
        return Row(
            name=name,
            page=f"{name.removesuffix('.ipynb')}.html",
            started=moment(record.started_at) or known.get("started", "") or "not known",
            verdict=verdict,
            runbook=record.runbook or notebook.parent.name,
            target=record.target or (name.split("/")[0] if "/" in name else "not known"),
            database=known.get("database", ""),
            mode=str(known.get("mode") or given.get("mode") or "apply"),
            seconds=record.seconds,
            operator=known.get("operator") or str(given.get("operator") or ""),
            ticket=str(given.get("ticket") or ""),
            seal="CHANGED" if altered else state,
        )

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, text.encode())


_MADE_BY = {"pgrunbook": version("pgrunbook"), "format": 3}


def _ending(record: Record, *, is_sealed: bool) -> tuple[str, str]:
    """The verdict and the reason, as the seal has them; unknown as long as the run may be at work."""
    if record.noted.get("verdict"):
        return record.noted["verdict"], record.noted.get("reason") or ""
    if record.unended and not is_sealed:
        return "unknown", UNENDED
    ending = final([from_dict(cell) for cell in record.notebook["cells"]])
    return str(ending.verdict), ending.reason


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    loader = PackageLoader("pgrunbook", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)

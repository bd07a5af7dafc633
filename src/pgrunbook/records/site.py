"""Makes the reviewer's pages of an archive: a static site with an index, and a page per record."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from os.path import relpath
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pgrunbook import controls
from pgrunbook import files as atomic
from pgrunbook.durations import moment
from pgrunbook.errors import Failed, Unreadable, Verdict
from pgrunbook.records import page_names, rendering
from pgrunbook.records.archive import Archive, sha256_of
from pgrunbook.records.audit_questions import answers
from pgrunbook.records.failure import Failure, verdict_and_reason
from pgrunbook.records.malformed_notebook import MALFORMED
from pgrunbook.records.naming import seal_of
from pgrunbook.records.record import Record
from pgrunbook.records.seal import Seal
from pgrunbook.runbooks import digests

# Bytes. A larger notebook is not shown, as no run writes one: it would fill the memory.
_LARGEST = 256 * 2**20

# In the order in which they are read: how it ended, why, what was run, where, by whom.
COLUMNS = [
    "started",
    "verdict",
    "reason",
    "runbook",
    "target",
    "database",
    "operator",
    "ticket",
    "mode",
    "took",
    "seal",
]
FILTERS = ["verdict", "runbook", "target", "operator", "ticket"]


@dataclass(frozen=True)
class IndexRow:
    """A record in the index. `name` is the path of the notebook from the archive's root on, `page`
    the path of its page from the site's root on.
    """

    name: str
    page: str
    started: str
    verdict: str
    reason: str
    runbook: str
    target: str
    database: str
    mode: str
    seconds: float
    operator: str
    ticket: str
    seal: str

    @classmethod
    def read(cls, line: str) -> IndexRow:
        """Read a row from a line of JSON. Raises ValueError or TypeError if it is not one."""
        row = cls(**json.loads(line))
        for name, value in vars(row).items():
            if not isinstance(value, float if name == "seconds" else str):
                raise ValueError("not a row")
        return row


@dataclass(frozen=True)
class Site:
    """The site of an archive, in its folder `site`.

    The page of a sealed record is made once, as a sealed record does not change. `index.jsonl` has
    the rows of the index, so that old notebooks need not be read again. Both are made anew for
    another version of pgrunbook.
    """

    archive: Archive

    @property
    def root(self) -> Path:
        """The site's folder."""
        return self.archive.root / "site"

    def build(self, *, anew: bool = False) -> tuple[int, int]:
        """Write the pages that are missing, or with `anew` all, and remove those of records that
        are gone. Returns how many pages were made, and how many records there are.
        """
        rows, made = self._build(anew=anew)
        return made, len(rows)

    def page(self, notebook: Path) -> Path:
        """Write the pages that are missing, and return the path of this record's page. Raises
        Failed if it cannot be written.
        """
        name = self.archive.name(notebook)
        rows, _ = self._build(anew=False)
        return self.root / next(row.page for row in rows if row.name == name)

    def _build(self, *, anew: bool) -> tuple[list[IndexRow], int]:
        known = self._read_index()
        rows, made = [], 0
        notebooks = self._notebooks()
        pages = page_names.pages(notebooks)
        for name, notebook in notebooks.items():
            row = known.get(name)
            if anew or row is None or not self._is_kept(row, pages[name], notebook):
                row = self._make_page(notebook, pages[name])
                made += 1
            rows.append(row)
        for page in {row.page for row in known.values()} - {*pages.values(), *page_names.OWN}:
            self._remove(page)
        rows.sort(key=lambda row: row.started, reverse=True)
        self._write_index(rows)
        return rows, made

    def _is_kept(self, row: IndexRow, page: str, notebook: Path) -> bool:
        """Return whether a page need not be made again: its record is sealed, and was then."""
        was_sealed = row.seal.startswith("number")
        return row.page == page and was_sealed and self.archive.is_sealed(notebook)

    def _notebooks(self) -> dict[str, Path]:
        """Return the notebooks by name. Files that cannot be records are left out: `archive verify`
        names them.
        """
        found = {}
        for path in self.archive.files():
            name = path.relative_to(self.archive.root).as_posix()
            # hidden: a file that is being written, or an editor's copy
            if path.suffix == ".ipynb" and not re.search(r"(^|/)\.", name):
                with suppress(Unreadable):
                    found[name] = self.archive.file(name)
        return found

    # -- the index

    def _read_index(self) -> dict[str, IndexRow]:
        try:
            first, *lines = self._file("index.jsonl").read_text(encoding="utf-8").split("\n")
            if json.loads(first) != _MADE_BY:
                return {}
            rows = [IndexRow.read(line) for line in lines if line]
        except (OSError, ValueError, TypeError, RecursionError):
            return {}  # all of it can be made anew
        return {row.name: row for row in rows}

    def _write_index(self, rows: list[IndexRow]) -> None:
        values = {}
        for name in FILTERS:
            values[name] = sorted({getattr(row, name) for row in rows} - {""})
        filters = [(name, name.capitalize()) for name in FILTERS]
        html = _render(
            "index.html.j2", root="", rows=rows, columns=COLUMNS, filters=filters, values=values
        )
        self._write("index.html", html)
        for name in ("style.css", "index.js"):
            self._write(name, (files("pgrunbook") / "templates" / name).read_text(encoding="utf-8"))
        kept = [json.dumps(vars(row), ensure_ascii=False) for row in rows]
        self._write("index.jsonl", "\n".join([json.dumps(_MADE_BY), *kept]) + "\n")

    # -- a record

    def _make_page(self, notebook: Path, page: str) -> IndexRow:
        """Write the page of a record, and return its row. A notebook that cannot be read has a page
        that says so: the others must have theirs.
        """
        seal, altered = self._seal(notebook)
        try:
            if notebook.stat().st_size > _LARGEST:
                raise ValueError(f"larger than {_LARGEST // 2**20} MB")
            return self._write_page(notebook, page, Record.read(notebook), seal, altered)
        except MALFORMED as exc:
            empty = Record({"cells": [], "metadata": {}})
            why = f"{type(exc).__name__}, {exc}"
            return self._write_page(notebook, page, empty, seal, altered, unreadable=why)

    def _write_page(
        self,
        notebook: Path,
        page: str,
        record: Record,
        seal: Seal | None,
        altered: list[str],
        *,
        unreadable: str = "",
    ) -> IndexRow:
        verdict, reason = "unknown", ""
        if not unreadable:
            verdict, reason = verdict_and_reason(record, is_sealed=bool(seal or altered))
        failure = Failure() if verdict == Verdict.PASSED else Failure.of(record)
        told = unreadable or failure.after(reason)
        row = self._row(notebook, page, record, (verdict, told), seal, altered)
        keys: list[str] = []
        check = ""
        if seal:
            keys = list(digests.short(seal.envelope.signatures).values())
            check = shlex.join(f"{file.sha256}  {file.name}" for file in seal.statement.subject)
        html = _render(
            "record.html.j2",
            root=f"{relpath('.', Path(row.page).parent)}/",
            row=row,
            verdict=verdict,
            reason=reason,
            failure=failure,
            altered=altered,
            unreadable=unreadable,
            answers=answers(record, seal, altered),
            cells=list(rendering.cells(record.notebook)),
            seal=seal,
            keys=keys,
            check=check,
        )
        self._write(row.page, html)
        return row

    def _seal(self, notebook: Path) -> tuple[Seal | None, list[str]]:
        """Return the seal of a record, and the files that are not as it says."""
        path = seal_of(notebook)
        if not path.exists():
            return None, []
        try:
            seal = self.archive.read(path)
        except (Unreadable, OSError):
            return None, [self.archive.name(path)]
        changed = []
        own = self.archive.name(notebook)
        if seal.notebook != own:
            changed.append(own)
        for file in seal.statement.subject:
            if self._sha256(file.name) != file.sha256:
                changed.append(file.name)
        return seal, changed

    def _sha256(self, name: str) -> str:
        """Return the SHA-256 of a file that a seal names; empty if it is missing, or if the name
        leads out of the archive.
        """
        try:
            return sha256_of(self.archive.file(name))
        except (Unreadable, OSError):
            return ""

    def _row(
        self,
        notebook: Path,
        page: str,
        record: Record,
        ending: tuple[str, str],
        seal: Seal | None,
        altered: list[str],
    ) -> IndexRow:
        verdict, reason = ending
        name = self.archive.name(notebook)
        known, given = record.identity, record.parameters
        state = "not sealed"
        if altered:
            state = "CHANGED"
        elif seal:
            signed = "signed" if seal.envelope.signatures else "not signed"
            state = f"number {seal.sequence}, {signed}"
            if seal.caveat:
                state += f"; {seal.caveat}"
        return IndexRow(
            name=name,
            page=page,
            started=moment(record.started_at or str(known.get("started_at") or "")) or "not known",
            verdict=verdict,
            reason=reason,
            runbook=record.runbook or notebook.parent.name,
            target=record.target or _first_folder(name) or "not known",
            database=str(known.get("database") or ""),
            mode=str(known.get("mode") or given.get("mode") or "apply"),
            seconds=record.seconds,
            operator=str(known.get("operator") or given.get("operator") or ""),
            ticket=str(given.get("ticket") or ""),
            seal=state,
        )

    # -- its files

    def _file(self, page: str) -> Path:
        """Return the path of a file of the site. Raises Unreadable if there is something in its way
        that leads elsewhere.
        """
        return self.archive.file(f"{self.root.name}/{page}")

    def _write(self, page: str, text: str) -> None:
        try:
            path = self._file(page)
        except Unreadable as exc:
            remedy = f"remove {self.root.name}/, which can be made anew"
            raise Failed.of(
                "the pages cannot be written", where=page, found=str(exc), remedy=remedy
            ) from exc
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, text.encode("utf-8", "backslashreplace"))

    def _remove(self, page: str) -> None:
        """Remove the page of a record that is gone."""
        with suppress(Unreadable, FileNotFoundError, NotADirectoryError):
            # The index may have been edited: it is not to have us remove other files.
            if page.endswith(page_names.ENDINGS):
                self._file(page).unlink()


def _first_folder(name: str) -> str:
    """Return the folder that a record lies in: by default it has the name of the target."""
    folder, _, rest = name.partition("/")
    return folder if rest else ""


_MADE_BY = {"pgrunbook": version("pgrunbook"), "format": 5}


def _render(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    loader = PackageLoader("pgrunbook", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["visible"] = controls.visible
    made.filters["breakable"] = _breakable
    return made


def _breakable(name: str) -> Markup:
    """Return a name that may break after an underscore, so that the index fits its window."""
    return escape(name).replace("_", Markup("_<wbr>"))

"""The file that papermill writes an executed notebook to: whole at any moment, and in the archive or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from papermill.iorw import LocalHandler, papermill_io

from pgrunbook import atomic
from pgrunbook.errors import Refused
from pgrunbook.project import Project


class Output(LocalHandler):  # type: ignore[misc]
    """Writes local files as papermill's own handler does, but each is at any moment the old one or the new one.

    `after` is called when the next one has been written: the engine sets it when only papermill's last time is left.
    """

    after: Callable[[], None] | None = None

    def __init__(self, handler: LocalHandler, path: str) -> None:
        super().__init__()
        self._handler = handler
        self.file = self._absolute(path)

    @classmethod
    def of(cls, path: str | None) -> Output | None:
        """Have this file written as a whole, by papermill too, which writes it once more when the engine is done.

        Its other stores do so themselves: then it is None. papermill goes by the newest scheme that a path begins with,
        so the path is given for one: of the handlers for the scheme `local` it would take the oldest.
        """
        handler = papermill_io.get_handler(path)
        if isinstance(handler, Output):  # of a run before, in this process
            handler = handler._handler
        if path is None or type(handler) is not LocalHandler:
            return None
        output = cls(handler, path)
        papermill_io.register(path, output)
        return output

    @property
    def project(self) -> Project | None:
        """The one in whose archive the file is, if it is in any."""
        try:
            project = Project.find(self.file.parent)
        except Refused:
            return None
        return project if self.file.is_relative_to(project.outputs) else None

    def write(self, buf: str, path: str) -> None:
        """Write the text beside the file, and put it in the file's place once all of it is on the disk."""
        atomic.write(self._absolute(path), buf.encode())
        after, self.after = self.after, None
        if after:
            after()

    def _absolute(self, path: str) -> Path:
        folder = self._handler.cwd(None)  # not ours, if the kernel is to have another
        self._handler.cwd(folder)
        return Path(folder or "", path).resolve()

"""The file that papermill writes an executed notebook to: whole at any moment, and when the run has
ended, final.
"""

from __future__ import annotations

import os
from pathlib import Path

from papermill.iorw import LocalHandler, papermill_io

from pgrunbook import files
from pgrunbook.errors import Refused


class Output(LocalHandler):  # type: ignore[misc]
    """Writes local files as papermill's own handler does, but each is at any moment the old one or
    the new one.

    Once it is `final`, the file of the run stays as it is: papermill would write it once more,
    sealed or not.
    """

    final = False

    def __init__(self, handler: LocalHandler, path: str) -> None:
        super().__init__()
        self._cwd = handler._cwd  # not ours, if the kernel is to have another
        self._before = handler
        self._path = path
        self.file = self._resolve(path)

    @classmethod
    def of(cls, path: str | None) -> Output | None:
        """Have papermill write this file so. Returns None if it is no local file: papermill's other
        stores replace it as a whole themselves.
        """
        # papermill takes the newest handler whose scheme a path begins with: so the whole path is
        # registered as a scheme. Of the handlers for the scheme `local` it would take the oldest.
        handler = papermill_io.get_handler(path)
        if isinstance(handler, Output):  # of a run before, in this process
            handler = handler._before
        if path is None or type(handler) is not LocalHandler:
            return None
        output = cls(handler, path)
        papermill_io.register(path, output)
        return output

    def forget(self) -> None:
        """Have papermill forget the file: who runs many is not to keep them all."""
        papermill_io._handlers.remove((str(self._path), self))

    def require_folder(self) -> None:
        """Raise Refused if there can be no file."""
        folder = self.file.parent
        found = ""
        if self.file.is_dir():
            found = f"a folder called {self.file.name}"
        elif not folder.is_dir():
            found = "no such folder"
        elif not os.access(folder, os.W_OK):
            found = "a folder that cannot be written"
        if found:
            raise Refused.of(
                "the record could not be written",
                where=f"{folder.name}/",
                expected="a folder to write to",
                found=found,
                remedy="make the folder, or name another file",
            )

    def write(self, buf: str, path: str) -> None:
        """Write the text beside the file, and put it in the file's place once all of it is on the
        disk.
        """
        file = self._resolve(path)
        if not (self.final and file == self.file):
            files.write(file, buf.encode())

    def _resolve(self, path: str) -> Path:
        return Path(self._cwd or "", path).resolve()

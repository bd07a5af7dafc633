"""The shell that cells run in where they run in this process: the one that a kernel has, but what
it shows goes to who executes the notebook, and not into a socket.

A new one for each notebook, as a new kernel would have it: its names, `In`, `Out`, its magics and
formatters.
"""

from __future__ import annotations

import atexit
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.zmqshell import ZMQDisplayPublisher, ZMQInteractiveShell
from jupyter_client.session import Session
from traitlets.config import Config

Message = dict[str, Any]

_BUFFERED = 8192  # characters of a text that is printed piece by piece


class Messages(Session):
    """Jupyter's messages, each handed over as it would come out of a socket."""

    def __init__(self, take: Callable[[Message], object]) -> None:
        super().__init__()
        self._take = take

    def send(  # type: ignore[override]  # no socket, and no buffers
        self, stream: None, msg_or_type: Any, content: Any = None, parent: Any = None, **_: Any
    ) -> None:
        """Hand a message over. What it holds is JSON, in which a tuple is a list."""
        assert stream is None
        message: Message = msg_or_type
        if not isinstance(msg_or_type, dict):
            message = self.msg(msg_or_type, content=content, parent=parent)
        self._take(message | {"content": self.unpack(self.pack(message["content"]))})


class _Printed(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of the cells. The shell flushes it before it shows something."""

    encoding = "utf-8"

    def __init__(self, name: str, messages: Messages) -> None:
        self._name, self._messages = name, messages
        self._text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._text += text
        if len(self._text) > _BUFFERED:
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._text = self._text, ""
        if text:
            self._messages.send(None, "stream", {"name": self._name, "text": text})


class Shell(ZMQInteractiveShell):
    """The kernel's shell, without a kernel. `messages` is where what it shows goes, also what the
    cells have `printed`.
    """

    messages: Messages
    printed: tuple[_Printed, ...] = ()
    exit_asked = False

    def init_environment(self) -> None:
        """Leave the process's environment as it is."""

    def ask_exit(self) -> None:
        """`exit` in a cell ends a kernel; what it does here is up to who executes the cells."""
        self.exit_asked = True

    def flush(self) -> None:
        """Show what a cell has printed, when it ends: the next one must not seem to have."""
        for each in self.printed:
            each.flush()


@contextmanager
def open_shell(take: Callable[[Message], object]) -> Iterator[Shell]:
    """Open a new shell, the one that `get_ipython()` returns in the `with` block. `take` is given
    each message that a cell causes.
    """
    messages = Messages(take)
    before = sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"]
    Shell.clear_instance()
    shell = Shell.instance(config=_CONFIG, user_module=ModuleType("__main__"))
    for shows in (shell.displayhook, shell.display_pub):
        assert isinstance(shows, ZMQShellDisplayHook | ZMQDisplayPublisher)
        shows.session = shell.messages = messages
    shell.printed = printed = _Printed("stdout", messages), _Printed("stderr", messages)
    sys.stdin, (sys.stdout, sys.stderr) = io.StringIO(), printed
    try:
        yield shell
    finally:
        sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"] = before
        # IPython registers this for the process's end: the shell would stay, with all that its
        # cells have made
        atexit.unregister(shell.atexit_operations)
        Shell.clear_instance()


# IPython would write what cells were into a file, by a thread.
_CONFIG = Config({"HistoryManager": {"enabled": False}})

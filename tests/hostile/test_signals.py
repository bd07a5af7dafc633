"""A signal at any moment of a command: one line, its exit code, and one document if it is to print
JSON.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# stands for where Python is at when the signal comes
SLOW = "import time, sys\nclass Slow:\n    def find_spec(self, name, *_):\n        if name == {at!r}:\n"
SLOW += "            open('reached', 'w').close(); time.sleep(2)\nsys.meta_path.insert(0, Slow())\n"


def signalled(folder: Path, number: signal.Signals, *arguments: str) -> tuple[int, bytes, bytes]:
    """What pgrunbook ends with, prints and complains of, if the signal comes once it has made the
    file `reached`, as the folder's sitecustomize.py tells it.
    """
    begun = subprocess.Popen(
        [sys.executable, "-m", "pgrunbook", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 20
    while not (folder / "reached").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    begun.send_signal(number)
    shown, said = begun.communicate(timeout=20)
    return begun.returncode, shown, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", ["pgrunbook.errors", "pgrunbook.cli.main", "pydantic"])
def test_while_it_is_imported(tmp_path: Path, at: str, number: signal.Signals) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW.format(at=at))
    code, shown, said = signalled(tmp_path, number, "run", "001", "--json")
    assert code == 3, said
    assert json.loads(shown)[0]["verdict"] == "interrupted"
    assert said.decode().startswith("INTERRUPTED: Stopped by a signal")
    assert said.count(b"\n") == 1


PARSING = """
import time, click
def slow(*_):
    open("reached", "w").close(); time.sleep(2)
click.Group.parse_args = slow
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["status", "run"])
def test_while_the_command_line_is_read(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    (tmp_path / "sitecustomize.py").write_text(PARSING)
    code, shown, said = signalled(tmp_path, number, command, "--json")
    assert code == 3, said
    told = json.loads(shown)
    assert (told[0] if command == "run" else told)["verdict"] == "interrupted"
    assert said == b"INTERRUPTED: Stopped by a signal, before anything was begun.\n"


def test_while_the_interpreter_exits(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, time\natexit.register(lambda: (open('reached', 'w').close(), time.sleep(1)))"
    )
    code, shown, said = signalled(tmp_path, signal.SIGINT, "run", "--json")
    assert code == 2, said
    assert b"Traceback" not in said
    assert json.loads(shown)[0]["verdict"] == "refused"

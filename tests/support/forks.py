"""Commands in processes that have imported everything already: each is forked from one that has.

`pgrunbook run` imports for two seconds, in the runner and once more in the kernel: most of what it
takes. Run as a script, this file is the process that the others are forked from.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import nbformat

TIMEOUT_S = 240  # of one command, on a machine that has other work


def call(
    module: str,
    arguments: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    kernel: bool = True,
) -> tuple[int, str]:
    """What `python -m module arguments` ends with, and all that it prints.

    Without a kernel the cells that `pgrunbook run` executes run in its own process, as a worker's.
    """
    request = {
        "argv": [module, *map(str, arguments)],
        "cwd": str(cwd),
        "env": dict(env),
        "kernel": kernel,
    }
    with ExitStack() as stack:
        output = stack.enter_context(TemporaryFile())
        status, theirs = socket.socketpair()
        stack.enter_context(status)
        with theirs:
            given = [output.fileno(), theirs.fileno()]
            socket.send_fds(_forker(), [json.dumps(request).encode()], given)
        pid = _number(status)
        status.settimeout(TIMEOUT_S)
        try:
            code = _number(status)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise
        output.seek(0)
        return code, output.read().decode()


@cache
def _forker() -> socket.socket:
    """The way to the process that forks, which ends with ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        command = [sys.executable, __file__, str(number)]
        subprocess.Popen(command, pass_fds=[number], stdin=subprocess.DEVNULL)
    return ours


def _number(source: socket.socket) -> int:
    (number,) = struct.unpack("i", source.recv(4))
    return int(number)


def _forked(channel: socket.socket) -> dict[str, Any]:
    """Fork for each request that comes, until nobody asks any more; report the process id of each
    command, and its exit code. Returns in the process of a command only: the request.
    """
    # by a descriptor that tells when it has ended: its process id, and where to report
    running: dict[int, tuple[int, int]] = {}
    while True:
        ready, _, _ = select.select([channel, *running], [], [])
        for command in running.keys() & set(ready):
            pid, status = running.pop(command)
            _, ended = os.waitpid(pid, 0)
            with suppress(BrokenPipeError):  # nobody waits for it any more
                os.write(status, struct.pack("i", os.waitstatus_to_exitcode(ended)))
            os.close(status)
            os.close(command)
        if channel not in ready:
            continue
        message, fds, _, _ = socket.recv_fds(channel, 2**17, 2)
        if not message:
            os._exit(0)
        output, status = fds
        if not (pid := os.fork()):
            os.dup2(output, 1)
            os.dup2(output, 2)
            channel.close()
            for other in running:
                os.close(other)
                os.close(running[other][1])
            os.close(output)
            os.close(status)
            return dict(json.loads(message))
        running[os.pidfd_open(pid)] = pid, status
        os.write(status, struct.pack("i", pid))
        os.close(output)


def _start_no_kernel() -> None:
    """Have `pgrunbook run`, or papermill with our engine, execute the cells in its own process."""
    import papermill.cli

    from pgrunbook.runner import kernels

    warm = partial(papermill.execute_notebook, warm=True)
    papermill.execute_notebook = papermill.cli.execute_notebook = warm
    kernels.start_kernel = lambda _: nullcontext()


def _import_everything() -> None:
    import papermill.cli  # noqa: F401  # first, as it imports our engine

    import pgrunbook

    for module in pkgutil.walk_packages(pgrunbook.__path__, "pgrunbook."):
        if module.name not in ("pgrunbook.__main__", "pgrunbook.run.kernel_startup"):
            import_module(module.name)


def _compile_validators() -> None:
    """Have nbformat compile what it checks notebooks with, or each process does: it takes as long
    as a tenth of a run.
    """
    for relaxed in (False, True):
        nbformat.validate(nbformat.v4.new_notebook(), version=4, relax_add_props=relaxed)


def _run(module: str) -> None:
    """Run it as `python -m` does, and exit as Python does; but leave its memory to the system. To
    go through all of it takes longer than most commands.
    """
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as exc:
        if isinstance(exc.code, str):
            raise
        code = exc.code or 0
    else:
        code = 0
    # in the order of Py_FinalizeEx, which anything but the above comes to
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(code)


def _main() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not come along when a process forks
    _import_everything()
    _compile_validators()
    gc.freeze()  # or each process copies all of it, to find that nothing is garbage
    asked = _forked(socket.socket(fileno=int(sys.argv[1])))
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    if not asked["kernel"]:
        _start_no_kernel()
    sys.argv[:] = asked["argv"]
    sys.path[0] = asked["cwd"]  # as of `python -m`
    _run(sys.argv[0])


if __name__ == "__main__":
    _main()

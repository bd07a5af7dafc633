"""A kernel that begins as a copy of this process: what is imported here, it need not import again.

That saves a fifth of a second and the memory of both. It is for programs that do nothing else yet: a fork copies one
thread, with whatever the others hold at that moment.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib.util
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

# What starts ipykernel in an interpreter of its own.
_IPYKERNEL = ["-m", "ipykernel_launcher"]


class ForkingProvisioner(LocalProvisioner):
    """jupyter_client's provisioner of local kernels, which forks this process where that gives the same kernel."""

    process: Any  # what is used of `subprocess.Popen`

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Launch the kernel. Raises OSError if it cannot be."""
        if not possible(cmd):
            return await super().launch_kernel(cmd, **kwargs)
        self.process = Child.fork(cmd[1:], kwargs["env"])
        self.pid = self.pgid = self.process.pid
        self.cwd = Path.cwd()
        return self.connection_info


def possible(command: Sequence[str]) -> bool:
    """Whether this process can become what the command starts: ipykernel in this interpreter, and no thread besides."""
    return (
        sys.platform == "linux"
        and [*command[:3]] == [sys.executable, *_IPYKERNEL]
        and len([*Path("/proc/self/task").iterdir()]) == 1
    )


class Child:
    """A forked process, as jupyter_client needs it: a part of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    @classmethod
    def fork(cls, arguments: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start ipykernel with these arguments, those of the interpreter, in a session of its own."""
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None is one that was closed when we were started
            stream.flush()
        gc.freeze()  # what both have stays where it is, and is in memory once
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            _become(arguments, {**env, "JPY_PARENT_PID": str(parent)})
        return cls(pid)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None as long as it runs."""
        return self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        """The exit code, when it has ended."""
        return self._waited(0)

    def _waited(self, options: int) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # somebody else has waited
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _become(arguments: Sequence[str], env: Mapping[str, str]) -> NoReturn:
    """Be what `python -m ipykernel_launcher` is, to the end."""
    code = 1
    try:
        gc.enable()  # whatever the parent is at
        os.setsid()
        os.environ.clear()
        os.environ.update(env)
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), 0)
        program = importlib.util.find_spec(arguments[1])
        sys.argv[:] = [program.origin if program and program.origin else arguments[1], *arguments[2:]]
        del sys.path[: not sys.flags.safe_path]  # where the program lies
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever it is to the parent
        signal.set_wakeup_fd(-1)
        asyncio.set_event_loop(asyncio.new_event_loop())  # the other one is the parent's
        code = contextvars.Context().run(_kernel, arguments[2:])
    finally:
        os._exit(code)


def _kernel(arguments: Sequence[str]) -> int:
    from ipykernel.kernelapp import launch_new_instance

    _do_without_debugger()
    try:
        launch_new_instance(argv=list(arguments))
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _do_without_debugger() -> None:
    """Of this kernel only the runner knows. debugpy, for whoever would attach, is a tenth of its memory; ipykernel does
    without where it cannot be imported, and a cell can import it later.
    """
    sys.modules["debugpy"] = None  # type: ignore[assignment]  # as the manual of `import` says of what is not to be found
    import ipykernel.debugger  # noqa: F401

    del sys.modules["debugpy"]

"""The kernel that a notebook runs in: started before the runner is ready for it, ended without
waiting for a clock.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from tempfile import TemporaryDirectory

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from traitlets import Type
from traitlets.config import Config

from pgrunbook import signals

# What a run needs, read while the kernel starts. Nothing of it is in the notebook's names.
_READ = "--IPKernelApp.exec_lines=__import__('pgrunbook.run.kernel_startup');"
_NO_HISTORY = "--HistoryManager.hist_file=:memory:"  # as nbclient has it

_LONGEST = 95  # bytes of a folder, of the 104 to 108 that a socket's whole name may have

# how often to look whether a kernel has ended; jupyter_client looks ten times a second
_POLL_S = 0.002


class KernelClient(AsyncKernelClient):
    """jupyter_client's client, which waits until the kernel answers, and not a fifth of a second
    longer to be sure that nothing comes any more: nbclient knows which message answers what.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait for so many seconds until the kernel is there and is heard. Raises RuntimeError if
        it is not, or if the run is stopped by a signal before.
        """
        deadline = time.monotonic() + (timeout or math.inf)
        while not await self._answers():
            if signals.stopped():
                raise RuntimeError("a signal came before the kernel answered")
            if not await self.is_alive():
                raise RuntimeError("the kernel died before it answered")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the kernel did not answer in {timeout:.0f} seconds")

    async def _answers(self) -> bool:
        self.kernel_info()
        try:
            reply = await self.get_shell_msg(timeout=1)
            # the channel of outputs has something to say too: it is connected
            await self.get_iopub_msg(timeout=0.2)
        except Empty:
            return False
        self._handle_kernel_info_reply(reply)
        return True


class Kernel(AsyncKernelManager):
    """jupyter_client's manager of one kernel."""

    client_factory = Type(KernelClient)

    async def _async_wait(self, pollinterval: float = _POLL_S) -> None:
        await super()._async_wait(min(pollinterval, _POLL_S))


@contextmanager
def start_kernel(name: str) -> Iterator[Kernel | None]:
    """Start a kernel of that name, without waiting until it answers, and end it with the `with`
    block, if nobody else has. Yields None if it cannot start.
    """
    if not name:
        yield None
        return
    with TemporaryDirectory(prefix="pgrunbook-") as folder:
        # Local sockets: two runs that start at once may choose the same free TCP port.
        sockets = {}
        # Windows has none, and a system takes names up to some length
        if os.name != "nt" and len(os.fsencode(folder)) < _LONGEST:
            sockets["KernelManager"] = {"transport": "ipc", "ip": f"{folder}/kernel"}
        kernel = Kernel(kernel_name=name, kernel_id=str(uuid.uuid4()), config=Config(sockets))
        arguments = [_NO_HISTORY]
        if kernel.ipykernel:
            arguments.append(_READ)
        try:
            run_sync(kernel.start_kernel)(extra_arguments=arguments)
        except (NoSuchKernel, OSError, RuntimeError):
            yield None
            return
        try:
            yield kernel
        finally:
            if kernel.has_kernel:
                run_sync(kernel.shutdown_kernel)(now=True)

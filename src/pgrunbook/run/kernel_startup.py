"""What a kernel of ours does as it starts: it imports what the cells use, and has its output wait
for the runner.
"""

from functools import partial

import zmq
from ipykernel.kernelapp import IPKernelApp

import pgrunbook.run.begin  # noqa: F401
from pgrunbook import logs

if IPKernelApp.initialized():
    # A cell that shows more than the runner can take waits; as ipykernel has it, some is dropped, a
    # verdict too.
    _outputs = IPKernelApp.instance().iopub_thread
    _outputs.schedule(partial(_outputs.socket.setsockopt, zmq.XPUB_NODROP, 1))
    # sys.stderr is an output of the cell by now; the kernel's own log goes where the runner's does
    for handler in IPKernelApp.instance().log.handlers:
        logs.enable(getattr(handler, "stream", None))

"""The kernel that a notebook asks for."""

from __future__ import annotations

import shlex
import shutil
import sys
from contextlib import suppress

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import KernelManager

from pgrunbook.errors import Refused


def require(name: str, where: str) -> None:
    """Raise Refused unless a kernel of that name is there, runs Python, and can be started: the
    program of one may have gone with its environment.
    """
    known = KernelSpecManager()
    try:
        names = sorted(known.find_kernel_specs())
    except RuntimeError as exc:  # Python knows none for a user without a name
        raise Refused.of(
            "there is no home directory, where Jupyter looks for kernels",
            where="HOME",
            found=str(exc),
            remedy="export HOME=DIR, a folder that this user may write",
        ) from exc
    found, spec = name or "none", None
    with suppress(NoSuchKernel, ValueError):  # ValueError: a spec that cannot be read
        spec = known.get_kernel_spec(name)
    if not name:
        what = "asks for no kernel"
    elif spec is None:
        what = "asks for a kernel that is not there"
    elif spec.language.lower() != "python":
        what, found = "asks for a kernel of another language", f"{name}: {spec.language}"
    elif not (spec.argv and shutil.which(_program(name))):
        what = "asks for a kernel whose program is not there"
        found = f"{name}: {' '.join(spec.argv[:1])}"
    else:
        return
    remedy = "choose another kernel in JupyterLab and save the notebook"
    if name and not name.startswith("-"):
        remedy += (
            f"; or have one of that name: {shlex.quote(sys.executable)} -m ipykernel install "
            f"--user --name {shlex.quote(name)}"
        )
    expected = f"a kernel for Python, such as {', '.join(names)}"
    raise Refused.of(what, where=where, expected=expected, found=found, remedy=remedy)


def _program(name: str) -> str:
    """Return the program that Jupyter starts for the kernel: where its specification says `python`,
    that is our own, as many machines have none of that name.
    """
    return KernelManager(kernel_name=name).format_kernel_cmd()[0]

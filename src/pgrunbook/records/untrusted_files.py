"""Files of a folder that anybody may have filled: their names lead nowhere else, and none is a pipe
or a link.
"""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

from pgrunbook.errors import Refused, Unreadable

# Bytes of a name. File systems take 255, and a file that is being written has a longer name than
# its own.
_LONGEST = 240

# Of a file that is read as a whole, such as a seal.
_LARGEST = 16 * 2**20


def path_below(root: Path, name: str) -> Path:
    """The file of this name below the root, whoever has written the name, and whatever was put
    there.

    Raises Unreadable if the name leads elsewhere, by itself or by a symbolic link, or if what is
    there is anything but a regular file. It need not be there.
    """
    if why := name_problem(name):
        raise Unreadable(f"{printable(name)} {why}")
    path = root / name
    try:
        linked = path.parent.resolve() != root.resolve() / PurePosixPath(name).parent
    except (OSError, RuntimeError):  # links in a circle
        linked = True
    if linked:
        raise Unreadable(f"{name} is behind a symbolic link")
    if is_there(path) and not is_regular(path):
        raise Unreadable(f"{name} is not a regular file")
    return path


def name_problem(name: str) -> str:
    """Why no file is to be called so; empty if one can. `sha256sum --check` takes one name a line,
    and backslashes for its own.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or path.as_posix() != name or ".." in path.parts or name in ("", "."):
        return "is not a path below the folder"
    if not name.isprintable() or "\\" in name:
        return "has characters that are not printed, or a backslash"
    if max(len(part.encode()) for part in path.parts) > _LONGEST:
        return f"has a name of more than {_LONGEST} bytes"
    return ""


def printable(name: str) -> str:
    """A name as it can be shown: whatever is no letter of it escaped, so that it makes no line of
    its own.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )


def is_there(path: Path) -> bool:
    """Whether there is anything of that name, a symbolic link that leads nowhere included."""
    return path.exists() or path.is_symlink()


def is_regular(path: Path) -> bool:
    """Whether it is a file itself: to read a pipe may take for ever, and a symbolic link may lead
    anywhere.
    """
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def require_regular(path: Path) -> None:
    """Raise Refused unless it is a file itself, before anything reads it."""
    if not is_regular(path):
        raise Refused.of(
            "is not a regular file",
            where=path.name,
            expected="a notebook",
            found="a link, a pipe, a device or nothing",
            remedy="name the notebook itself",
        )


def read_small(path: Path) -> bytes:
    """What is in a small file. Raises Unreadable if it is none."""
    with path.open("rb") as file:
        if len(data := file.read(_LARGEST + 1)) > _LARGEST:
            raise Unreadable(f"larger than {_LARGEST // 2**20} MB")
    return data

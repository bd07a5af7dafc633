"""Guards against what anybody may have put into a folder: paths leading elsewhere, pipes, links."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

from pgrunbook.errors import Refused, Unreadable

# Bytes of a name. File systems take 255; while a file is written, its name has some more.
_LONGEST = 240

# Bytes of a file that is read as a whole, such as a seal.
_LARGEST = 16 * 2**20


def path_below(root: Path, name: str) -> Path:
    """Return the path of this name below the root. The file need not exist.

    Raises Unreadable if the name leads elsewhere, by itself or through a symbolic link, or if there
    is something that is not a regular file.
    """
    why = name_problem(name)
    if why:
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
    """Return why no file of an archive may have this name; empty if one may."""
    path = PurePosixPath(name)
    if path.is_absolute() or path.as_posix() != name or ".." in path.parts or name in ("", "."):
        return "is not a path below the folder"
    # `sha256sum --check` takes a line for a name, and a backslash for the begin of an escape
    if not name.isprintable() or "\\" in name:
        return "has characters that are not printed, or a backslash"
    if max(len(part.encode()) for part in path.parts) > _LONGEST:
        return f"has a name of more than {_LONGEST} bytes"
    return ""


def printable(name: str) -> str:
    """Return a name with characters that are not printable escaped: a line break in it would look
    like a line of ours.
    """
    characters = []
    for each in name:
        if not each.isprintable():
            each = each.encode("unicode_escape", "surrogatepass").decode()
        characters.append(each)
    return "".join(characters)


def is_there(path: Path) -> bool:
    """Return whether anything has this path, a symbolic link that leads nowhere included."""
    return path.exists() or path.is_symlink()


def is_regular(path: Path) -> bool:
    """Return whether it is a regular file, and not a link to one."""
    # Reading a pipe may take for ever, and a symbolic link may lead anywhere.
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def require_regular(path: Path) -> None:
    """Raise Refused unless it is a regular file. To be called before anything reads it."""
    if not is_regular(path):
        raise Refused.of(
            "is not a regular file",
            where=path.name,
            expected="a notebook",
            found="a link, a pipe, a device or nothing",
            remedy="name the notebook itself",
        )


def read_small(path: Path) -> bytes:
    """Return the bytes of a small file. Raises Unreadable if it is larger."""
    with path.open("rb") as file:
        data = file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        raise Unreadable(f"larger than {_LARGEST // 2**20} MB")
    return data

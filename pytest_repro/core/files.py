"""Writes files so that a reader, or who comes after a crash, finds the old content or the new."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

_STREAM_DIRS = Path("/dev"), Path("/dev/fd")


def replace_file(path: Path, parts: Iterable[str | bytes]) -> None:
    """Replaces the file at *path* at once, and creates its folder; text is written as UTF-8.

    What is no file (``/dev/stdout``, a pipe) is written to as it is.

    Raises:
        OSError: The file cannot be written; the old one, if any, is unchanged.
    """
    if path.parent in _STREAM_DIRS or (path.exists() and not path.is_file()):
        path.write_bytes(b"".join(map(_encode, parts)))
        return
    target = path.resolve()  # a link stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)  # of a killed process with the same number
    try:
        with open(temporary, "xb") as file:
            file.writelines(map(_encode, parts))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    # A power cut must not bring the old file back.
    with suppress(OSError), ExitStack() as stack:  # Windows cannot open folders
        folder = os.open(target.parent, os.O_RDONLY)
        stack.callback(os.close, folder)
        os.fsync(folder)


def _encode(part: str | bytes) -> bytes:
    return part.encode("utf-8", "backslashreplace") if isinstance(part, str) else part

"""Notices which files a block writes, creates, renames or removes, and from which line, before it does."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from pytest_repro.interpose.patch import Patch, make_patch, patch_everywhere
from pytest_repro.interpose.user_frames import call_origin, caller_frame, format_location, get_module_name

WriteCallback = Callable[[str, str], None]
"""Called with the absolute path of a file or folder, and the user's line, before it changes."""

_MAX_FILES = 1000  # of a folder that is renamed
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _opens_for_writing(arguments: dict[str, Any]) -> bool:
    mode = arguments["mode"]
    return bool(set("wax+") & set(mode)) if isinstance(mode, str) else bool(mode & _WRITE_FLAGS)


class _Function(NamedTuple):
    """A function that writes: the names of its first parameters, and which of them are paths."""

    module: str
    name: str
    parameters: tuple[str, ...]
    paths: tuple[str, ...]
    writes: Callable[[dict[str, Any]], bool] = lambda arguments: True


def _list_functions() -> Iterator[_Function]:
    for module in ("builtins", "io"):
        yield _Function(module, "open", ("file", "mode"), ("file",), _opens_for_writing)
    yield _Function("os", "open", ("path", "flags"), ("path",), _opens_for_writing)
    for name in ("rename", "replace", "link", "symlink"):
        yield _Function("os", name, ("src", "dst"), ("src", "dst") if name[0] == "r" else ("dst",))
    for name in ("remove", "unlink", "rmdir", "mkdir", "truncate"):
        yield _Function("os", name, ("path",), ("path",))
    # Write in compiled code:
    yield _Function("sqlite3", "connect", ("database",), ("database",))
    yield _Function("torch", "save", ("obj", "f"), ("f",))


_FUNCTIONS = tuple(_list_functions())
_callbacks: list[WriteCallback] = []


@contextmanager
def watch_writes(on_write: WriteCallback) -> Iterator[None]:
    """Calls *on_write* in the block for what the user's code writes, itself or through a library.

    Also for folders that pytest makes, without a line; not for other files that it or an import writes.
    """
    rows = [row for row in _FUNCTIONS if isinstance(sys.modules.get(row.module), ModuleType)]
    patches = [_make_patch(row, getattr(sys.modules[row.module], row.name)) for row in rows]
    _callbacks.append(on_write)
    try:
        with patch_everywhere(patches):
            yield
    finally:
        _callbacks.remove(on_write)


@lru_cache(maxsize=64)  # every experiment watches
def _make_patch(row: _Function, real: Callable[..., Any]) -> Patch:

    def note_and_call(*args: Any, **kwargs: Any) -> Any:
        if get_module_name(caller_frame(sys._getframe(1))).startswith("pytest_repro."):
            return real(*args, **kwargs)
        arguments = {"mode": "r", **dict(zip(row.parameters, args)), **kwargs}
        if row.module == "os" and row.name == "open":
            arguments["mode"] = arguments.get("flags", 0)
        if row.writes(arguments):
            origin = call_origin(sys._getframe(1))
            if origin is not None or row.name == "mkdir":
                location = format_location(origin.frame) if origin is not None else ""
                for path in _find_paths(row, arguments):
                    for on_write in _callbacks:
                        on_write(path, location)
        return real(*args, **kwargs)

    return make_patch(sys.modules[row.module], row.name, note_and_call)


def _find_paths(row: _Function, arguments: dict[str, Any]) -> list[str]:
    """What the call changes: the paths that it is given; of a folder that is renamed, also its files."""
    paths = [_find_path(arguments.get(name), arguments) for name in row.paths]
    if row.paths == ("src", "dst") and os.path.isdir(paths[0]):
        inside = [
            os.path.join(folder, name)
            for folder, *rest in os.walk(paths[0])
            for names in rest
            for name in names
        ]
        paths += [path + each[len(paths[0]) :] for each in inside[:_MAX_FILES] for path in paths[:2]]
    return [path for path in paths if path]


def _find_path(path: Any, options: dict[str, Any]) -> str:
    """The absolute path; ``""`` for an open file, or a folder that cannot be named."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return ""
    folder = options.get("dir_fd", options.get("src_dir_fd"))
    try:
        text = os.fsdecode(path)
        if folder is not None:
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        # The folder's real path: a link that is written itself stays one.
        folder, name = os.path.split(os.path.abspath(text))
        return os.path.join(os.path.realpath(folder), name)
    except (OSError, TypeError, ValueError):
        return ""


open_file = io.open
"""Opens a file without being noticed."""

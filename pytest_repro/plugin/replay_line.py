"""What a shell command needs to run one item again, in the folder where pytest was started."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.text import quote_word


def format_nodeid(item: pytest.Item) -> str:
    """The node id of *item* as pytest takes it where it was started.

    Its own one is relative to rootdir; of an installed file (``--pyargs``) it has no path, and workers of
    pytest-xdist append the group. Modules in ``site-packages`` are named as ``--pyargs`` takes them.
    """
    nodes = [each for each in item.listchain()[1:] if not isinstance(each, (pytest.Directory, pytest.File))]
    start = _find_installed_name(item) or _format_path(item, item.path)
    return "::".join([start, *(each.name for each in nodes)])


def format_options(item: pytest.Item) -> str:
    """Options of the session without which the command would not find *item* as it is, each after a space.

    pytest looks for rootdir and the ini file from its arguments on, and a log of ``--repro-replay`` has node
    ids, which begin at rootdir.
    """
    config: Any = item.config
    option, root, inipath = config.option, config.rootpath, config.inipath
    is_default = item.path.is_relative_to(root) and (inipath is not None or root == _get_start(item))
    found = ["--pyargs"] * bool(_find_installed_name(item))
    if option.rootdir or option.inifilename or not is_default:
        found.append(f"--rootdir={quote_word(_format_path(item, root))}")
        if inipath is not None:
            found.append(f"-c {quote_word(_format_path(item, inipath))}")
    if hasattr(item, "dtest"):
        found += ["--doctest-modules"] * bool(option.doctestmodules)
        found += [f"--doctest-glob={quote_word(glob)}" for glob in option.doctestglob]
    return "".join(f" {each}" for each in found)


def _find_installed_name(item: pytest.Item) -> str:
    """The dotted name by which any folder runs the installed module of *item*; ``""`` if it has none."""
    parts = item.path.with_suffix("").parts
    site = max((parts.index(name) for name in ("site-packages", "dist-packages") if name in parts), default=0)
    name = ".".join(parts[site + 1 :]).removesuffix(".__init__")
    if not site or not item.config.option.pyargs:
        return ""
    with suppress(ImportError, ValueError):
        spec = find_spec(name)
        return name if spec is not None and spec.origin == str(item.path) else ""
    return ""


def _format_path(item: pytest.Item, path: Path) -> str:
    """Relative to where pytest was started, if *item* is there or in a folder of the same project."""
    start, root = _get_start(item), item.config.rootpath
    is_near = item.path.is_relative_to(root) and start.is_relative_to(root)
    return os.path.relpath(path, start) if is_near or item.path.is_relative_to(start) else str(path)


def _get_start(item: pytest.Item) -> Path:
    return item.config.invocation_params.dir

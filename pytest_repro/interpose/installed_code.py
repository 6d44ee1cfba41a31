"""Where the code of a distribution or an import package is installed, and what a project is named."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import sys
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import IO, Any, NamedTuple
from urllib.parse import unquote, urlsplit

_CODE_SUFFIXES = (".py", ".so", ".pyd")


class Distribution(NamedTuple):
    """An installed distribution."""

    name: str  # as :func:`normalize_name` returns it
    site: str  # the folder into which it is installed
    metadata: str  # the path of its ``.dist-info``

    def list_paths(self) -> list[str]:
        """Its packages, as folders that end with a separator, and its other modules."""
        names = [name for name in self._read_names() if name.endswith(_CODE_SUFFIXES) and ".." not in name]
        folders = sorted(
            {name.rpartition("/")[0] for name in names if name.endswith("/__init__.py")}, key=len
        )
        tops: list[str] = []  # of a namespace package, which several distributions share, only its own part
        for folder in sorted(folders, key=len):
            if not folder.startswith(tuple(tops)):
                tops.append(f"{folder}/")
        paths = (*tops, *(name for name in names if not name.startswith(tuple(tops))))
        return [os.path.join(self.site, path.replace("/", os.sep)) for path in paths]

    def _read_names(self) -> Iterable[str]:
        with suppress(OSError), self._open("RECORD") as stream:
            return [row[0] for row in csv.reader(stream) if row]
        with suppress(OSError), self._open("top_level.txt") as stream:
            return [name for top in stream.read().split() for name in (f"{top}/__init__.py", f"{top}.py")]
        return ()

    def _open(self, name: str) -> IO[str]:
        return open(os.path.join(self.metadata, name), encoding="utf-8")

    def is_from_local_folder(self) -> bool:
        """Whether it was installed from a folder, editable or not.

        Packages of conda name the folder in which somebody else built them.
        """
        try:
            with self._open("direct_url.json") as stream:
                origin = json.load(stream)
            url = urlsplit(origin["url"])
            is_folder = url.scheme == "file" and "dir_info" in origin
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False
        is_conda = os.path.isdir(os.path.join(sys.prefix, "conda-meta"))
        return is_folder and (not is_conda or os.path.isdir(unquote(url.path)))


def normalize_name(name: str) -> str:
    """*name* of a distribution as all its spellings have it: ``"Ruamel_yaml"`` is ``"ruamel-yaml"``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def iter_distributions() -> Iterator[Distribution]:
    """The distributions in the folders of ``sys.path``."""
    for site in dict.fromkeys(sys.path):
        with suppress(OSError), os.scandir(site := os.path.abspath(site)) as entries:
            for entry in entries:
                stem, _, suffix = entry.name.rpartition(".")
                if suffix in ("dist-info", "egg-info"):
                    yield Distribution(normalize_name(stem.partition("-")[0]), site, entry.path)


def list_local_distributions(
    distributions: Iterable[Distribution], own: Container[str], libraries: Container[str]
) -> list[Distribution]:
    """Those of *distributions* named in *own*, and those installed from a local folder but *libraries*."""
    return [
        each
        for each in distributions
        if each.name in own or (each.name not in libraries and each.is_from_local_folder())
    ]


def find_import_package(name: str) -> list[str]:
    """The folders of the import package *name*, each with a separator at its end, or the file of a module.

    Imports nothing. Empty if there is none.
    """
    first, *rest = name.split(".")
    try:
        spec = find_spec(first)
        for count in range(len(rest)):
            search = spec.submodule_search_locations if spec is not None else None
            submodule = ".".join([first, *rest[: count + 1]])
            spec = PathFinder.find_spec(submodule, search) if search is not None else None
    except (ImportError, ValueError):
        return []
    if spec is None or spec.submodule_search_locations is None:
        return [spec.origin] if spec is not None and spec.has_location and spec.origin else []
    return [os.path.join(each, "") for each in spec.submodule_search_locations]


def find_project_names(folders: Iterable[str]) -> set[str]:
    """The names of the distributions that are built in *folders*, or in the nearest folder above each."""
    visited: set[str] = set()
    names: set[str] = set()
    for folder in folders:
        name = ""
        while folder not in visited and not name:
            visited.add(folder)
            name = _read_project_name(folder)
            folder = os.path.dirname(folder)
        names |= {normalize_name(name)} - {""}
    return names


def _read_project_name(folder: str) -> str:
    """The name in ``pyproject.toml``, ``setup.cfg`` or ``setup.py``; ``""`` if there is none."""
    for file, read in (
        ("pyproject.toml", _read_pyproject),
        ("setup.cfg", _read_setup_cfg),
        ("setup.py", _read_setup),
    ):
        with suppress(Exception), open(os.path.join(folder, file), encoding="utf-8") as stream:
            if isinstance(name := read(stream.read()), str):
                return name
    return ""


def _read_pyproject(text: str) -> Any:
    tables = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)  # pytest's own
    tool = tables.get("tool", {})
    named = (tables.get("project", {}), tool.get("poetry", {}))
    flit = tool.get("flit", {}).get("metadata", {})
    return next((table["name"] for table in named if "name" in table), flit.get("module"))


def _read_setup_cfg(text: str) -> Any:
    from configparser import ConfigParser  # 5 ms, for few projects

    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    return parser.get("metadata", "name", fallback=None)


def _read_setup(text: str) -> Any:
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    keywords = (each for call in calls if "setup" in ast.dump(call.func) for each in call.keywords)
    return next((ast.literal_eval(each.value) for each in keywords if each.arg == "name"), None)

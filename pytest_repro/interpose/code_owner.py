"""Whose code a file is: the user's, a library's, Python's, the runner's.

The user's code is what the user can change:

- files below rootdir, but not in virtual environments and installed packages there;
- collected modules and conftest files, and the package that they are in, wherever it is installed;
- the distribution that the project builds (``pyproject.toml``), and those installed from a local folder;
- what the ini key ``repro_packages`` names;
- files elsewhere that nobody installed, such as those on ``PYTHONPATH``.

numpy and torch are libraries, unless the project builds them or ``repro_packages`` names them.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Literal, NamedTuple

CodeOwner = Literal["user", "library", "python", "runner", "none"]

_RUNNER_PACKAGES = {"_pytest", "pytest", "xdist", "execnet", "pytest_timeout"}
_OWN_RUNNER_PACKAGES = {"assertions", "companions", "engine", "plugin", "reports"}
_STDLIB_PATHS = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
_STDLIB_DIRS = tuple(
    {f"{folder}{os.sep}" for path in _STDLIB_PATHS for folder in (path, os.path.realpath(path))}
)
_SITE_DIRS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_FOREIGN_DIRS = (
    *_SITE_DIRS,
    *(f"{os.sep}{name}{os.sep}" for name in (".venv", ".tox", ".nox", "node_modules")),
)
# Developers build these from source, outside of site-packages.
_LIBRARIES = {"torch", "numpy"}
# dataclasses and named tuples compile "<string>", the import system runs "<frozen …>".
_INTERACTIVE_NAMES = ("<doctest", "<stdin", "<ipython", "<console")


class UserCode(NamedTuple):
    """What counts as the user's code in a session.

    Attributes:
        root: rootdir; ``""`` for the working directory.
        collected: The paths of collected modules and conftest files.
        packages: Names of distributions and import packages.
    """

    root: str = ""
    collected: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


class _Paths(NamedTuple):
    """The same as starts of paths.

    Attributes:
        roots: rootdir, and where it really is, without the separator at the end.
        libraries: Import packages that are libraries wherever they are.
    """

    roots: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    library: tuple[str, ...] = ()
    libraries: frozenset[str] = frozenset(_LIBRARIES)


_user_code = UserCode()
_paths: _Paths | None = None
_NON_USER_FILES: set[object] = set()


def set_user_code(user_code: UserCode) -> UserCode:
    """Sets what counts as the user's code from now on; returns what it was before."""
    global _user_code
    previous, _user_code = _user_code, user_code
    _set_paths(None)
    return previous


def _set_paths(paths: _Paths | None) -> None:
    global _paths
    _paths = paths
    classify_code.cache_clear()
    _NON_USER_FILES.clear()


def find_user_code() -> None:
    """Looks for the user's code now, before a block patches functions that this calls."""
    _get_paths()


def _get_paths() -> _Paths:
    if _paths is None:
        roots: tuple[str, ...] = ()
        with suppress(OSError):  # the working directory is gone
            root = os.path.abspath(_user_code.root)
            roots = tuple(each.rstrip(os.sep) for each in dict.fromkeys((root, os.path.realpath(root))))
        # Whoever watches what this calls asks whose code calls it.
        _set_paths(_Paths(roots))
        _set_paths(_find_paths(_user_code, roots))
    assert _paths is not None
    return _paths


def _find_paths(user_code: UserCode, roots: tuple[str, ...]) -> _Paths:
    from pytest_repro.interpose.installed_code import (
        find_import_package,
        find_project_names,
        iter_distributions,
        list_local_distributions,
        normalize_name,
    )

    foreign = [path for path in user_code.collected if _is_foreign(path, roots)]
    folders = {os.path.dirname(path) for path in user_code.collected if path.startswith(roots)}
    own = find_project_names([*roots[:1], *sorted(folders.difference(map(os.path.dirname, foreign)))])
    own |= {normalize_name(name) for name in user_code.packages}
    user = [path for name in user_code.packages for path in find_import_package(name)]
    distributions = tuple(iter_distributions())
    local = list_local_distributions(distributions, own, _LIBRARIES)
    user += [path for each in local for path in each.list_paths()]
    targets = [
        each
        for each in set(distributions).difference(local)
        if each.metadata.endswith(".dist-info") and not _is_foreign(each.metadata, ())
    ]
    library = [path for each in targets for path in each.list_paths()]  # pip install --target
    foreign += [path for path in user_code.collected if path.startswith(tuple(library))]
    user += {_find_package(path) for path in foreign}
    # A project may itself be below the standard library, as an installed package is.
    user += [f"{root}{os.sep}" for root in roots if root.startswith(_STDLIB_DIRS) and not _is_site(root)]
    return _Paths(roots, tuple(user), tuple(library), frozenset(_LIBRARIES - own))


def _is_site(folder: str) -> bool:
    return f"{folder}{os.sep}".endswith(_SITE_DIRS)


def _is_foreign(path: str, roots: tuple[str, ...]) -> bool:
    """Whether *path* is below a folder of installed packages, which is itself below rootdir or elsewhere."""
    for root in roots:
        if path.startswith(f"{root}{os.sep}") and not _is_site(root):
            path = path[len(root) :]
            break
    return any(name in path for name in _FOREIGN_DIRS)


def _find_package(path: str) -> str:
    """The outermost package that the installed module *path* is in, or else its folder.

    Collected tests of numpy are the user's, the rest of numpy is not.
    """
    folder = package = os.path.dirname(path)
    if _is_site(folder):
        return path
    for parent in _iter_parents(folder):
        if os.path.basename(parent) in _LIBRARIES:
            return os.path.join(folder, "")
        if os.path.isfile(os.path.join(parent, "__init__.py")):
            package = parent
    return os.path.join(package, "")


def _iter_parents(folder: str) -> Iterator[str]:
    """*folder* and its parents, up to that into which packages are installed."""
    while not _is_site(folder) and os.path.dirname(folder) != folder:
        yield folder
        folder = os.path.dirname(folder)


@cache
def classify_code(filename: str, module: str) -> CodeOwner:
    """The owner of code in *filename* and the dotted name *module*, ``""`` if unknown."""
    package, _, rest = module.partition(".")
    if package == "pytest_repro":
        return "runner" if rest.partition(".")[0] in _OWN_RUNNER_PACKAGES else "none"
    if package in _RUNNER_PACKAGES:
        return "runner"
    if package == "pluggy":  # programs use it, too
        return "none"
    if filename.startswith("<"):
        return "user" if filename.startswith(_INTERACTIVE_NAMES) else "python"
    paths = _get_paths()
    if filename.startswith(paths.user):
        return "user"
    if package in paths.libraries or filename.startswith(paths.library) or _is_foreign(filename, paths.roots):
        return "library"
    return "python" if filename.startswith(_STDLIB_DIRS) else "user"


def is_user_module(module: ModuleType) -> bool:
    """Whether *module* is a file of the user's or an interactive ``__main__``."""
    file = vars(module).get("__file__")
    if file in _NON_USER_FILES:  # 0.3 µs each, for some thousand modules
        return False
    if not isinstance(file, str):
        return module.__name__ == "__main__"
    if classify_code(file, module.__name__) == "user":
        return True
    _NON_USER_FILES.add(file)
    return False

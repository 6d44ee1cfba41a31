"""Which modules a session collected completely, and so which stored tests no longer exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_repro.plugin.stash import COLLECTED, GOLDEN_FOLDER

_PARTIAL_OPTIONS = ("lf", "stepwise", "collectonly")
"""Options that collect modules in part, without a hook call."""


def find_stale_tests(config: pytest.Config, folders: Collection[Path]) -> dict[str, list[str]]:
    """Golden file of *folders* → node ids of its tests that no longer exist."""
    if any(config.getoption(name, False) for name in _PARTIAL_OPTIONS):
        return {}
    collected = config.stash[COLLECTED]
    modules = collected.list_complete_modules(config)
    partial = _find_partial_modules(config)
    return {
        str(path): stale
        for folder in folders
        for path, stale in _find_stale_in_folder(folder, modules, collected.tests, partial)
        if stale
    }


def _find_stale_in_folder(
    folder: Path, modules: dict[Path, str], tests: dict[Path, set[str]], partial_modules: set[Path] | None
) -> Iterator[tuple[Path, list[str]]]:
    """The golden files of *folder*, each with the node ids of tests that no longer exist."""
    from pytest_repro.core.golden import find_stale
    from pytest_repro.engine.golden import load_golden

    beside = {path.stem for path in folder.iterdir() if path.is_file()}
    for path in sorted((folder / GOLDEN_FOLDER).glob("*.json")):
        with suppress(OSError, ValueError):  # the tests report a file that cannot be read
            golden = load_golden(path)
            if path.stem not in beside:
                yield path, list(golden.tests)
                continue
            for module, name in modules.items():
                if (
                    module.parent == folder
                    and module.stem == path.stem
                    and partial_modules is not None
                    and module not in partial_modules
                ):
                    yield path, list(find_stale(golden, name, tests[module]))


def _find_partial_modules(config: pytest.Config) -> set[Path] | None:
    """Modules of which the command line names single tests; None if that is unknown."""
    found = set()
    for each in config.args:
        name, inside, _ = str(each).partition("::")
        if inside:
            path = config.invocation_params.dir / name
            if not path.is_file():
                return None
            found.add(path.resolve())
    return found

"""A module imported in a block meets the world as it is outside of the block."""

from __future__ import annotations

import datetime
import importlib
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.engine.runs.pin import pinned
from pytest_repro.interpose.imports import guard_imports
from pytest_repro.interpose.patch import Patch, patch_everywhere
from pytest_repro.interpose.proxy_class import make_proxy_class

SOURCE = """
import datetime, os, random
import {below}
getcwd, drawn = os.getcwd, random.random()
is_proxy = type(datetime.datetime) is not type
"""
importlib_: Any = sys.modules["_frozen_importlib"]
real = {name: getattr(importlib_, name) for name in ("_ModuleLockManager", "_find_spec")}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules ``outer``, which imports ``below``, and ``broken``."""
    (tmp_path / "outer.py").write_text(SOURCE.format(below="below"))
    (tmp_path / "below.py").write_text(SOURCE.format(below="os"))
    (tmp_path / "broken.py").write_text("import random\nrandom.random()\nraise ValueError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("outer", "below", "broken"):
        sys.modules.pop(name, None)
    assert {name: getattr(importlib_, name) for name in real} == real


@contextmanager
def nothing() -> Iterator[None]:
    yield


def make_patches() -> list[Patch]:
    proxy = make_proxy_class(datetime.datetime, {})
    import os

    return [Patch(os, "getcwd", lambda: "nowhere"), Patch(datetime, "datetime", proxy)]


def test_a_module_binds_real_functions_and_classes() -> None:
    import os

    real = os.getcwd
    with guard_imports(nothing), patch_everywhere(make_patches()):
        outer = importlib.import_module("outer")
        assert os.getcwd() == "nowhere"
        assert type(datetime.datetime) is not type
        below: Any = sys.modules["below"]
        assert [outer.is_proxy, below.is_proxy] == [False, False]
        assert outer.getcwd() == "nowhere"  # in a user's module, once it is imported
    assert outer.getcwd is below.getcwd is os.getcwd is real


def test_what_the_block_rebound_stays_rebound() -> None:
    import os

    with guard_imports(nothing), patch_everywhere(make_patches()), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getcwd", lambda: "mine")
        importlib.import_module("outer")
        assert os.getcwd() == "mine"


@pytest.mark.parametrize("name", ["outer", "broken", "absent"])
def test_an_import_does_not_shift_what_a_block_draws(name: str) -> None:
    def draw(imports: bool) -> tuple[float, float]:
        random.seed(7)
        with pinned(3):
            first = random.random()
            if imports and name == "outer":
                importlib.import_module(name)
            elif imports:
                with pytest.raises((ValueError, ModuleNotFoundError)):
                    importlib.import_module(name)
            return first, random.random()

    assert draw(imports=True) == draw(imports=False)


def test_draws_of_an_import_are_those_of_the_program_without_the_block() -> None:
    random.seed(7)
    expected = [random.random() for _ in range(3)]
    random.seed(7)
    with pinned(3):
        random.random()
        outer = importlib.import_module("outer")
    assert [sys.modules["below"].drawn, outer.drawn, random.random()] == expected


def test_a_thread_that_imports_while_another_one_does(tmp_path: Path) -> None:
    (tmp_path / "outer.py").write_text(
        "import threading\nthread = threading.Thread(target=lambda: __import__('below'))\n"
        "thread.start()\nthread.join()\n"
    )
    leave_count = 0

    @contextmanager
    def leave() -> Iterator[None]:
        nonlocal leave_count
        leave_count += 1
        yield

    with guard_imports(leave), patch_everywhere(make_patches()):
        importlib.import_module("outer")
        assert not sys.modules["below"].is_proxy
        assert type(datetime.datetime) is not type
    assert leave_count == 1

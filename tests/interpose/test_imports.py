"""A module imported in a block meets the world as it is outside of the block."""

from __future__ import annotations

import datetime
import importlib.util
import os
import random
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.plan.plan import Cell
from pytest_repro.core.runs.run import RunSpec
from pytest_repro.engine.runs.pin import Pin, pinned
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
real = {name: getattr(importlib_, name) for name in ("_get_module_lock", "_find_spec")}


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


@pytest.mark.parametrize("name", ["broken", "absent", "outer_of_broken"])
def test_tracebacks_are_those_without_the_block(name: str, tmp_path: Path) -> None:
    (tmp_path / "outer_of_broken.py").write_text("import broken\n")

    def format_error() -> str:
        try:
            __import__(name)
        except (ValueError, ModuleNotFoundError):
            return traceback.format_exc()
        raise AssertionError

    expected = format_error()
    with guard_imports(nothing), patch_everywhere(make_patches()):
        assert format_error() == expected


def test_a_failed_search_leaves_no_block() -> None:
    with guard_imports(lambda: pytest.fail("left")), pytest.raises(ModuleNotFoundError):
        importlib.import_module("absent")


def test_a_lazy_module_is_imported_when_it_is_used() -> None:
    def draw(uses: bool) -> list[float]:
        with pinned(3):
            module = make_lazy("below")
            drawn = [random.random()]
            if uses:
                module.getcwd()
            return [*drawn, random.random()]

    def make_lazy(name: str) -> Any:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    assert draw(uses=True) == draw(uses=False)


def test_each_run_imports_a_module_with_the_same_states() -> None:
    drawn = []
    with Pin() as pin:
        for number in range(3):
            pin.prepare_run(RunSpec(Cell(value=number), number, 0, True))
            pin.seed()
            sys.modules.pop("below", None)
            drawn.append(importlib.import_module("below").drawn)
    assert len(set(drawn)) == 1


@pytest.mark.parametrize("importing_thread", ["main", "other"])
def test_generators_keep_their_states_while_another_thread_may_draw(importing_thread: str) -> None:
    """The run does not count instead."""
    done = threading.Event()
    with Pin() as pin:
        pin.prepare_run(RunSpec(Cell(), 0, 0, True))
        pin.seed()
        expected = random.random()
        pin.seed()
        body: Any = done.wait if importing_thread == "main" else lambda: importlib.import_module("below")
        thread = threading.Thread(target=body)
        thread.start()
        if importing_thread == "main":
            importlib.import_module("below")
        done.set()
        thread.join()
        assert sys.modules["below"].drawn == expected
        assert not pin.is_settled


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_forgets_the_imports_of_other_threads(tmp_path: Path) -> None:
    (tmp_path / "below.py").write_text("import threading\nstarted.set()\ndone.wait()\n")
    started, done = threading.Event(), threading.Event()
    real = os.getcwd
    with guard_imports(nothing), patch_everywhere(make_patches()), pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.started", started, raising=False)
        patch.setattr("builtins.done", done, raising=False)
        thread = threading.Thread(target=lambda: importlib.import_module("below"))
        thread.start()
        started.wait()
        assert os.getcwd is real
        if not (child := os.fork()):
            os._exit(os.getcwd() != "nowhere")
        done.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0
        assert os.getcwd() == "nowhere"

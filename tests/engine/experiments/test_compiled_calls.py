"""Lines that call compiled modules whose threads and generators cannot be suspended."""

from __future__ import annotations

import ctypes
import random
import sqlite3
import ssl
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_repro.engine.experiments import compiled_calls
from pytest_repro.engine.experiments.compiled_calls import CompiledCalls, find_compiled_module


class Numbers(ctypes.Structure):
    """Data of a foreign function."""


LIBRARY = ctypes.CDLL(None)


@pytest.mark.parametrize(
    ("value", "module"),
    [
        (sqlite3, "sqlite3"),
        (sqlite3.connect(":memory:"), "sqlite3"),
        (ssl.RAND_bytes, "ssl"),
        (LIBRARY, "ctypes"),
        (LIBRARY.printf, "ctypes"),
        (ctypes.create_string_buffer, None),
        (ctypes.create_string_buffer(2), ""),
        (Numbers(), ""),
        (np.random.default_rng(), None),
        (np.datetime64, "numpy.datetime64"),
        (random.random, None),
        (SimpleNamespace(), None),
        (3.5, None),
        (None, None),
    ],
)
def test_which_module_a_value_is_of(value: object, module: str | None) -> None:
    assert find_compiled_module(value) == module


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of Python, one of whose modules is compiled."""
    package, compiled = ModuleType("fastindex"), ModuleType("fastindex._core")
    package.__spec__ = ModuleSpec("fastindex", None)
    package.__file__ = f"{sys.prefix}/lib/site-packages/fastindex/__init__.py"
    compiled.__spec__ = ModuleSpec("fastindex._core", ExtensionFileLoader("fastindex._core", "_core.so"))
    package.__dict__["Index"] = type("Index", (), {"__module__": "fastindex", "query": lambda self: [1]})
    monkeypatch.setitem(sys.modules, "fastindex", package)
    monkeypatch.setitem(sys.modules, "fastindex._core", compiled)
    compiled_calls._is_compiled.cache_clear()
    return package


def test_lines_of_a_run(library: ModuleType) -> None:
    calls, index, search = CompiledCalls(), library.Index(), SimpleNamespace(index=library.Index())

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and frame.f_code.co_filename == __file__:
            calls.visit_line(frame)
        return trace

    def run() -> None:
        buffer = ctypes.create_string_buffer(2)
        assert index.query() == [1]
        assert search.index.query() == [1]
        assert len([buffer]) == 1
        assert sum([1, 2]) == 3

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(previous)
    first = run.__code__.co_firstlineno
    found = {int(line.rpartition(":")[2]) - first: module for line, module in calls.modules.items()}
    assert found == {2: "fastindex", 3: "fastindex", 4: ""}


def test_a_value_that_cannot_be_read_is_passed_over() -> None:
    class Lazy:
        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]
            raise RuntimeError("not loaded")

    lazy, calls = Lazy(), CompiledCalls()
    assert lazy is not None
    calls.visit_line(sys._getframe())
    assert calls.modules == {}

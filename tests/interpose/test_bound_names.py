"""Functions that user code has kept as a default, in a closure or in a class are replaced there too."""

from __future__ import annotations

import datetime
import gc
import inspect
import os
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

from pytest_repro.causes import get_cause
from pytest_repro.interpose._bound.names import Places
from pytest_repro.interpose.call_log import log_calls
from pytest_repro.interpose.patch import Patch, patch_everywhere
from tests.conftest import Project

now = datetime.datetime.now


def by_default(get: Callable[[], str] = os.getcwd) -> str:
    return get()


def by_keyword(*, get: Callable[[], str] = os.getcwd) -> str:
    return get()


def close_over(get: Callable[[], str]) -> Callable[[], str]:
    return lambda: get()


by_closure = close_over(os.getcwd)


@dataclass
class Record:
    folder: str = field(default_factory=os.getcwd)
    made: datetime.datetime = field(default_factory=datetime.datetime.now)


@dataclass
class Stamp:
    seconds: float = field(default_factory=time.time)


class Place:
    get = os.getcwd
    get_static = staticmethod(os.getcwd)

    def read(self, get: Callable[[], str] = os.getcwd) -> str:
        return get()


class Keeper:
    def __init__(self, get: Callable[[], str] = os.getcwd) -> None:
        self.get = get


KEEPER, FUNCTIONS = Keeper(), {"folder": os.getcwd}

READ: dict[str, Callable[[], str]] = {
    "default": lambda: by_default(),
    "keyword": lambda: by_keyword(),
    "closure": lambda: by_closure(),
    "dataclass": lambda: Record().folder,
    "class": lambda: Place.get(),
    "instance": lambda: Place().get(),  # type: ignore[misc]
    "static": lambda: Place().get_static(),
    "object": lambda: KEEPER.get(),
    "dict": lambda: FUNCTIONS["folder"](),
    "method": lambda: Place().read(),
}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_what_was_kept_is_replaced_and_restored(read: Callable[[], str]) -> None:
    before = vars(Place).copy(), by_default.__defaults__, inspect.getclosurevars(by_closure).nonlocals
    with patch_everywhere([Patch(os, "getcwd", lambda: "nowhere")]):
        assert read() == "nowhere"
        with patch_everywhere([Patch(os, "getcwd", lambda: "inner")]):
            assert read() == "inner"
        assert read() == "nowhere"
    assert read() == os.getcwd()
    after = vars(Place).copy(), by_default.__defaults__, inspect.getclosurevars(by_closure).nonlocals
    assert before == after


def test_class_methods_that_were_kept_read_a_clock_that_stands_still() -> None:
    def read() -> list[Any]:
        with get_cause("clock").suspend(0):
            return [now(), Record().made]

    assert read() == read()
    assert now.__self__ is datetime.datetime  # type: ignore[attr-defined]


def test_the_call_of_a_default_factory_is_the_users() -> None:
    with log_calls(get_cause("clock").find_targets()) as log:
        Stamp()
    (call,) = log.calls
    assert (call.display_name, call.via.rpartition(".")[2]) == ("time.time()", "__init__")
    assert call.location.rpartition(":")[0] == __file__


def test_lazy_objects_are_not_made(project: Project) -> None:
    project(
        """
        import random
        class Lazy:
            @property
            def __class__(self): return type(random.random())
        lazy = Lazy()
        def test_a(repro): repro.record(x=random.random())
        """
    ).check(passed=1)


def test_what_a_module_holds_is_not_kept_alive() -> None:
    module = ModuleType("own")
    exec("class Big: pass\nowner = Big(); table = {'big': Big()}\ndef get(big=Big()): pass", vars(module))
    kept = Places([module])
    held = [weakref.ref(each) for each in (module.owner, module.table["big"], module.get)]
    del module.owner, module.table, module.get
    gc.collect()
    assert [each() for each in held] == [None, None, None]
    assert list(kept.replace(lambda value: value)) == []


def test_a_function_kept_as_a_method_gets_its_object(project: Project) -> None:
    project.inquires = True
    project(
        """
        import threading, time
        class Worker(threading.Thread):
            begin = threading.Thread.start
            def run(self): self.result = time.time()
        def test_a(repro):
            worker = Worker()
            worker.begin()
            worker.join()
            repro.record(x=worker.result)
        """
    ).check(failed=1, says="cause      clock")

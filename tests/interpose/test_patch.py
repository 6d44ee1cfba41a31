"""Replaced under every name, put back under every name."""

from __future__ import annotations

import copy
import datetime
import pickle
import random
import sys
import time
from collections.abc import Iterator
from os import getcwd as where
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_repro.interpose.patch import Patch, patch_everywhere
from pytest_repro.interpose.proxy_class import make_proxy_class
from pytest_repro.interpose.user_frames import classify_code, find_called_name, is_user_module

import os  # isort: skip

torch: Any = pytest.importorskip("torch")


def nowhere(only_there: bool = False) -> Patch:
    return Patch(os, "getcwd", lambda: "nowhere", only_there)


def test_a_name_bound_by_a_users_module_is_replaced_and_put_back() -> None:
    real = os.getcwd
    with patch_everywhere([nowhere()]):
        assert (os.getcwd(), where()) == ("nowhere", "nowhere")
    assert os.getcwd is where is real


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_puts_back_as_well(error: type[BaseException]) -> None:
    real = os.getcwd
    with pytest.raises(error), patch_everywhere([nowhere()]):
        raise error
    assert os.getcwd is where is real


def test_installed_packages_and_python_keep_what_they_have_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = ModuleType("somelib")
    installed.__file__ = "/x/site-packages/somelib.py"
    vars(installed)["where"] = os.getcwd
    monkeypatch.setitem(sys.modules, "somelib", installed)
    with patch_everywhere([nowhere()]):
        assert vars(installed)["where"]() != "nowhere"


def test_only_there_is_only_there() -> None:
    with patch_everywhere([nowhere(only_there=True)]):
        assert os.getcwd() == "nowhere" != where()


@pytest.mark.parametrize("folder", ["mine", "site-packages"])
def test_a_module_imported_meanwhile_holds_the_real_one_afterwards(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "late_one.py").write_text("from os import getcwd as here")
    monkeypatch.syspath_prepend(str(tmp_path / folder))
    with patch_everywhere([nowhere()]):
        import late_one  # type: ignore[import-not-found]

        assert late_one.here() == "nowhere"
    monkeypatch.delitem(sys.modules, "late_one")
    assert late_one.here is os.getcwd


def test_what_the_block_rebinds_stays_as_it_left_it() -> None:
    real = os.getcwd
    try:
        with patch_everywhere([nowhere()]):
            os.getcwd = lambda: "mine"
        assert os.getcwd() == "mine"
    finally:
        os.getcwd = real


def test_an_inherited_method_is_taken_away_again() -> None:
    with patch_everywhere([Patch(torch.Tensor, "new_empty", lambda self: "none")]):
        assert torch.zeros(1).new_empty() == "none"
    assert "new_empty" not in vars(torch.Tensor)


def test_blocks_nest() -> None:
    with patch_everywhere([nowhere()]):
        with patch_everywhere([Patch(os, "getcwd", lambda: "inner")]):
            assert (os.getcwd(), where()) == ("inner", "inner")
        assert os.getcwd() == where() == "nowhere"


STAMP = datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)


@pytest.fixture
def late() -> Iterator[Any]:
    """``datetime.datetime`` with a clock that stands."""
    made = make_proxy_class(datetime.datetime, {"now": classmethod(lambda cls, tz=None: STAMP)})
    with patch_everywhere([Patch(datetime, "datetime", made)]):
        yield made


def test_a_stand_in_is_the_real_class_for_whoever_asks(late: Any) -> None:
    fresh = datetime.datetime(2021, 1, 1)
    assert (datetime.datetime, datetime.datetime.now()) == (late, STAMP)
    assert isinstance(STAMP, datetime.datetime)
    assert isinstance(fresh, datetime.date)
    assert issubclass(type(STAMP), datetime.datetime)
    assert not issubclass(int, datetime.datetime)
    assert type(fresh) is type(datetime.datetime.fromisoformat("2020-01-01")) is type(STAMP)
    assert {datetime.datetime: 1}[type(STAMP)] == 1
    assert datetime.datetime.strptime("2020", "%Y") - fresh == datetime.timedelta(-366)
    assert f"{datetime.datetime.min:%Y-%m}" in ("1-01", "0001-01")
    match STAMP:
        case datetime.datetime(year=year):
            assert year == 2020
        case _:
            raise AssertionError


def test_stand_ins_nest(late: Any) -> None:
    later = STAMP + datetime.timedelta(1)
    made = make_proxy_class(datetime.datetime, {"now": classmethod(lambda cls, tz=None: later)})
    with patch_everywhere([Patch(datetime, "datetime", made)]):
        assert (datetime.datetime, datetime.datetime.now()) == (made, later)
        assert made is not late
        assert type(datetime.datetime(2021, 1, 1)) is type(STAMP)
        assert isinstance(STAMP, datetime.datetime)
        assert {datetime.datetime: 1}[type(STAMP)] == 1
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for value in (STAMP, made):
                assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert (datetime.datetime, datetime.datetime.now()) == (late, STAMP)
    assert pickle.loads(pickle.dumps(STAMP)) == STAMP


def test_stand_ins_that_make_instances_nest() -> None:
    inner = make_proxy_class(torch.Generator, {"seed": lambda self: 3}, owns_instances=True)
    with patch_everywhere([Patch(torch, "Generator", inner)]):
        outer = make_proxy_class(torch.Generator, {"initial_seed": lambda self: 4}, owns_instances=True)
        with patch_everywhere([Patch(torch, "Generator", outer)]):
            generator = torch.Generator("cpu").manual_seed(5)
            assert (generator.seed(), generator.initial_seed()) == (3, 4)
            again = pickle.loads(pickle.dumps(generator))
    assert torch.equal(torch.rand(2, generator=again), torch.rand(2, generator=generator))
    assert type(again) is torch.Generator


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_instances_and_the_class_pickle(protocol: int, late: Any) -> None:
    aware = datetime.datetime(2020, 5, 6, 7, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    for value in (STAMP, aware, late):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.deepcopy([STAMP, STAMP])[0] == STAMP == copy.copy(STAMP)


def test_what_was_pickled_inside_is_the_real_class_outside() -> None:
    made = make_proxy_class(datetime.datetime, {})
    with patch_everywhere([Patch(datetime, "datetime", made)]):
        text = pickle.dumps(STAMP)
    assert type(pickle.loads(text)) is datetime.datetime


def test_a_subclass_of_a_stand_in_makes_its_own(late: Any) -> None:
    class Mine(datetime.datetime):
        def said(self) -> str:
            return "mine"

    mine = Mine(2020, 1, 1)
    assert mine.said() == Mine.fromisoformat("2020-01-01").said() == "mine"
    assert isinstance(mine, Mine)
    assert isinstance(mine, datetime.datetime)
    assert not isinstance(STAMP, Mine)
    assert (Mine == datetime.datetime, issubclass(Mine, datetime.datetime)) == (False, True)


def test_instances_of_a_stand_in_outlive_it() -> None:
    made = make_proxy_class(torch.Generator, {"seed": lambda self: 3}, owns_instances=True)
    before = torch.Generator()
    with patch_everywhere([Patch(torch, "Generator", made)]):
        assert isinstance(before, torch.Generator)
        generator = torch.Generator("cpu").manual_seed(5)
        assert type(generator) is torch.Generator
        assert generator.seed() == 3
    drawn = torch.rand(2, generator=pickle.loads(pickle.dumps(generator)))
    assert isinstance(generator, torch.Generator)
    assert torch.equal(drawn, torch.rand(2, generator=generator))


@pytest.mark.parametrize(
    ("filename", "module", "whose"),
    [
        (time.__spec__.origin or "", "time", "user"),
        (random.__file__, "random", "python"),
        (torch.__file__, "torch", "library"),
        ("/src/torch/nn/init.py", "torch.nn.init", "library"),
        (pytest.__file__, "pytest", "runner"),
        ("/x/site-packages/_pytest/runner.py", "_pytest.runner", "runner"),
        ("/x/site-packages/somelib.py", "somelib", "library"),
        (sys.modules["pytest_repro"].__file__, "pytest_repro", "none"),
        ("/x/pytest_repro/engine/check/check.py", "pytest_repro.engine.check.check", "runner"),
        ("<string>", "mine", "python"),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", "python"),
        ("<doctest README.md[0]>", "__main__", "user"),
        ("/home/me/test_it.py", "test_it", "user"),
    ][1:],
)
def test_whose_code_it_is(filename: str, module: str, whose: str) -> None:
    assert classify_code(filename, module) == whose


def test_modules_of_the_user() -> None:
    assert is_user_module(sys.modules[__name__])
    assert not is_user_module(random)
    assert not is_user_module(torch)
    assert not is_user_module(sys)


def test_what_is_called_is_read_off_the_code() -> None:
    def hook(*_: object) -> str | None:
        return find_called_name(sys._getframe(1), frozenset({"first", "second()"}))

    class Library:
        first = second = third = staticmethod(hook)

    assert [Library.first(), Library.second(), Library().first(1)] == ["first", "second()", "first"]
    assert Library.second(3) == "second(…)"
    assert Library.first(Library.second(), Library.third()) == "first"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="bytecode does not say where it comes from")
def test_a_name_that_was_called_before_is_not_taken_for_another() -> None:
    def hook(*_: object) -> str | None:
        return find_called_name(sys._getframe(1), frozenset({"first"}))

    class Library:
        first = other = staticmethod(hook)

    assert [Library.first(), Library.other(), Library.other(Library.first)] == ["first", None, None]
    assert Library.first(
        Library.other(),
    ) == "first"  # fmt: skip

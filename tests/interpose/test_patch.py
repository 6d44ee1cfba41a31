"""Attributes are replaced under every name and restored under every name."""

from __future__ import annotations

import copy
import datetime
import pickle
import random
import sys
import time
from collections.abc import Iterator
from os import getcwd as bound_getcwd
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_repro.interpose.code_owner import classify_code, is_user_module
from pytest_repro.interpose.patch import Patch, is_passthrough, pass_through, patch_everywhere, unpatched
from pytest_repro.interpose.proxy_class import make_proxy_class
from pytest_repro.interpose.user_frames import find_called_name

import os  # isort: skip

torch: Any = pytest.importorskip("torch")


def patch_getcwd(owner_only: bool = False) -> Patch:
    return Patch(os, "getcwd", lambda: "nowhere", owner_only)


def test_names_in_user_modules_are_patched_and_restored() -> None:
    real = os.getcwd
    with patch_everywhere([patch_getcwd()]):
        assert (os.getcwd(), bound_getcwd()) == ("nowhere", "nowhere")
    assert os.getcwd is bound_getcwd is real


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_restore(error: type[BaseException]) -> None:
    real = os.getcwd
    with pytest.raises(error), patch_everywhere([patch_getcwd()]):
        raise error
    assert os.getcwd is bound_getcwd is real


def test_names_in_installed_packages_are_not_patched(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = ModuleType("somelib")
    installed.__file__ = "/x/site-packages/somelib.py"
    vars(installed)["getcwd"] = os.getcwd
    monkeypatch.setitem(sys.modules, "somelib", installed)
    with patch_everywhere([patch_getcwd()]):
        assert vars(installed)["getcwd"]() != "nowhere"


def test_owner_only() -> None:
    with patch_everywhere([patch_getcwd(owner_only=True)]):
        assert os.getcwd() == "nowhere" != bound_getcwd()


@pytest.mark.parametrize("folder", ["mine", "site-packages"])
def test_modules_imported_in_the_block_are_restored(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "late_one.py").write_text("from os import getcwd as bound")
    monkeypatch.syspath_prepend(str(tmp_path / folder))
    with patch_everywhere([patch_getcwd()]):
        import late_one  # type: ignore[import-not-found]

        assert late_one.bound() == "nowhere"
    monkeypatch.delitem(sys.modules, "late_one")
    assert late_one.bound is os.getcwd


def test_attributes_rebound_in_the_block_stay() -> None:
    real = os.getcwd
    try:
        with patch_everywhere([patch_getcwd()]):
            os.getcwd = lambda: "mine"
        assert os.getcwd() == "mine"
    finally:
        os.getcwd = real


def test_patched_inherited_methods_are_deleted() -> None:
    with patch_everywhere([Patch(torch.Tensor, "new_empty", lambda self: "none")]):
        assert torch.zeros(1).new_empty() == "none"
    assert "new_empty" not in vars(torch.Tensor)


def test_blocks_nest() -> None:
    with patch_everywhere([patch_getcwd()]):
        with patch_everywhere([Patch(os, "getcwd", lambda: "inner")]):
            assert (os.getcwd(), bound_getcwd()) == ("inner", "inner")
        assert os.getcwd() == bound_getcwd() == "nowhere"


STAMP = datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc)


@pytest.fixture
def datetime_proxy() -> Iterator[Any]:
    """``datetime.datetime`` whose ``now()`` is constant."""
    proxy = make_proxy_class(datetime.datetime, {"now": classmethod(lambda cls, tz=None: STAMP)})
    with patch_everywhere([Patch(datetime, "datetime", proxy)]):
        yield proxy


def test_proxies_behave_as_the_real_class(datetime_proxy: Any) -> None:
    fresh = datetime.datetime(2021, 1, 1)
    assert (datetime.datetime, datetime.datetime.now()) == (datetime_proxy, STAMP)
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


def test_proxies_nest(datetime_proxy: Any) -> None:
    later = STAMP + datetime.timedelta(1)
    proxy = make_proxy_class(datetime.datetime, {"now": classmethod(lambda cls, tz=None: later)})
    with patch_everywhere([Patch(datetime, "datetime", proxy)]):
        assert (datetime.datetime, datetime.datetime.now()) == (proxy, later)
        assert proxy is not datetime_proxy
        assert type(datetime.datetime(2021, 1, 1)) is type(STAMP)
        assert isinstance(STAMP, datetime.datetime)
        assert {datetime.datetime: 1}[type(STAMP)] == 1
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for value in (STAMP, proxy):
                assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert (datetime.datetime, datetime.datetime.now()) == (datetime_proxy, STAMP)
    assert pickle.loads(pickle.dumps(STAMP)) == STAMP


def test_proxies_that_own_instances_nest() -> None:
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
def test_instances_and_the_class_pickle(protocol: int, datetime_proxy: Any) -> None:
    aware = datetime.datetime(2020, 5, 6, 7, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    for value in (STAMP, aware, datetime_proxy):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.deepcopy([STAMP, STAMP])[0] == STAMP == copy.copy(STAMP)


def test_pickles_from_the_block_load_as_the_real_class() -> None:
    proxy = make_proxy_class(datetime.datetime, {})
    with patch_everywhere([Patch(datetime, "datetime", proxy)]):
        text = pickle.dumps(STAMP)
    assert type(pickle.loads(text)) is datetime.datetime


def test_subclasses_of_a_proxy_own_their_instances(datetime_proxy: Any) -> None:
    class Mine(datetime.datetime):
        def label(self) -> str:
            return "mine"

    mine = Mine(2020, 1, 1)
    assert mine.label() == Mine.fromisoformat("2020-01-01").label() == "mine"
    assert isinstance(mine, Mine)
    assert isinstance(mine, datetime.datetime)
    assert not isinstance(STAMP, Mine)
    assert (Mine == datetime.datetime, issubclass(Mine, datetime.datetime)) == (False, True)


def test_instances_outlive_their_proxy() -> None:
    proxy = make_proxy_class(torch.Generator, {"seed": lambda self: 3}, owns_instances=True)
    before = torch.Generator()
    with patch_everywhere([Patch(torch, "Generator", proxy)]):
        assert isinstance(before, torch.Generator)
        generator = torch.Generator("cpu").manual_seed(5)
        assert type(generator) is torch.Generator
        assert generator.seed() == 3
    drawn = torch.rand(2, generator=pickle.loads(pickle.dumps(generator)))
    assert isinstance(generator, torch.Generator)
    assert torch.equal(drawn, torch.rand(2, generator=generator))


@pytest.mark.parametrize(
    ("filename", "module", "owner"),
    [
        (random.__file__, "random", "python"),
        (torch.__file__, "torch", "library"),
        ("/src/torch/nn/init.py", "torch.nn.init", "library"),
        (pytest.__file__, "pytest", "runner"),
        ("/x/site-packages/_pytest/runner.py", "_pytest.runner", "runner"),
        ("/x/site-packages/pluggy/_callers.py", "pluggy._callers", "none"),
        ("/x/site-packages/somelib.py", "somelib", "library"),
        (sys.modules["pytest_repro"].__file__, "pytest_repro", "none"),
        ("/x/pytest_repro/engine/check/check.py", "pytest_repro.engine.check.check", "runner"),
        ("<string>", "mine", "python"),
        ("<frozen importlib._bootstrap>", "importlib._bootstrap", "python"),
        ("<doctest README.md[0]>", "__main__", "user"),
        ("/home/me/test_it.py", "test_it", "user"),
    ],
)
def test_classify_code(filename: str, module: str, owner: str) -> None:
    assert classify_code(filename, module) == owner


def test_is_user_module() -> None:
    assert is_user_module(sys.modules[__name__])
    assert not is_user_module(random)
    assert not is_user_module(torch)
    assert not is_user_module(sys)


def test_find_called_name() -> None:
    def hook(*_: object) -> str | None:
        return find_called_name(sys._getframe(1), frozenset({"first", "second()"}))

    class Library:
        first = second = third = staticmethod(hook)

    assert [Library.first(), Library.second(), Library().first(1)] == ["first", "second()", "first"]
    assert Library.second(3) == "second(…)"
    assert Library.first(Library.second(), Library.third()) == "first"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="bytecode has no columns")
def test_names_called_earlier_are_ignored() -> None:
    def hook(*_: object) -> str | None:
        return find_called_name(sys._getframe(1), frozenset({"first"}))

    class Library:
        first = other = staticmethod(hook)

    assert [Library.first(), Library.other(), Library.other(Library.first)] == ["first", None, None]
    assert Library.first(
        Library.other(),
    ) == "first"  # fmt: skip


def call_twice() -> list[float]:
    first = time.time()
    second = time.time()
    return [first, second]


def test_only_passthrough_sites_reach_the_real_function() -> None:
    line = f"{__file__}:{call_twice.__code__.co_firstlineno + 2}"
    with pass_through([line]), patch_everywhere([Patch(time, "time", lambda: -1.0)]):
        first, second = call_twice()
    assert (first, second > 0) == (-1.0, True)


def test_pass_through_ends_after_an_error() -> None:
    try:
        with pass_through(["/a.py:1"]):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with patch_everywhere([Patch(time, "time", lambda: -1.0)]):
        assert call_twice() == [-1.0, -1.0]
    assert not is_passthrough(sys._getframe())


def test_a_class_that_inherits_the_patch_of_its_base_is_patched_too() -> None:
    from multiprocessing.pool import Pool, ThreadPool

    patches = [Patch(owner, "imap_unordered", lambda *args: ()) for owner in (Pool, ThreadPool)]
    real = Pool.imap_unordered
    with patch_everywhere(patches):
        with unpatched():
            assert Pool.imap_unordered is ThreadPool.imap_unordered is real
        assert [vars(patch.owner)[patch.name] for patch in patches] == [patch.value for patch in patches]
    assert "imap_unordered" not in vars(ThreadPool)

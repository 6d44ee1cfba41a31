"""Shuffled listings: another order, the same each time, and nothing else changed."""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Callable
from os import listdir
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.axes import apply_setting
from pytest_repro.axes.order import shuffle_entries

_NAMES = [f"{number:02}.txt" for number in range(30)]
_ANY_NAMES = st.lists(st.text(st.characters(exclude_characters="/\0")), unique=True, max_size=12)
_BYTES = st.lists(st.binary(), unique=True, max_size=12)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty files, and a folder with three more."""
    (tmp_path / "sub").mkdir()
    for name in [*_NAMES, "sub/a.txt", "sub/b.txt", "sub/c.txt"]:
        (tmp_path / name).write_text(name)
    return tmp_path


@given(names=_ANY_NAMES | _BYTES, seed=st.integers(1, 5))
def test_listing_is_permuted_and_never_unchanged(names: list[Any], seed: int) -> None:
    found = shuffle_entries(names, names, seed)
    assert sorted(found) == sorted(names)
    assert (found == names) is (len(names) < 2)


@given(names=_ANY_NAMES | _BYTES, seed=st.integers(1, 5), data=st.data())
def test_order_depends_only_on_names_and_seed(names: list[Any], seed: int, data: st.DataObject) -> None:
    found = shuffle_entries(names, names, seed)
    assert shuffle_entries(list(names), list(names), seed) == found
    other = data.draw(st.permutations(names))
    again = shuffle_entries(other, other, seed)
    # What comes in the shuffled order already is turned round, so that it changes.
    turned = again == found[::-1] and (names == again or other == found)
    assert again == found or turned


@given(names=st.lists(st.text("ab", min_size=1), unique=True, min_size=2, max_size=12))
def test_entries_keep_their_names(names: list[str]) -> None:
    entries = [(name, object()) for name in names]
    found = shuffle_entries(entries, names, 1)
    assert [name for name, _ in found] == shuffle_entries(names, names, 1)
    assert set(found) == set(entries)


def test_seeds_shuffle_differently() -> None:
    assert len({tuple(shuffle_entries(_NAMES, _NAMES, seed)) for seed in range(1, 6)}) == 5


def test_order_is_the_same_in_every_python_version() -> None:
    assert shuffle_entries(list("abcde"), list("abcde"), 1) == list("ceadb")


def under(order: int, listing: Callable[[Path], list[str]], folder: Path) -> list[str]:
    with apply_setting({"order": order}):
        return listing(folder)


def walked(folder: Path) -> list[str]:
    return [name for _, folders, files in os.walk(folder) for name in (*folders, *files)]


def entries(folder: Path) -> list[str]:
    with os.scandir(folder) as found:
        return [entry.name for entry in found]


def copied(folder: Path) -> list[str]:
    seen: list[str] = []

    def copy(source: str, target: str) -> str:
        seen.append(os.path.basename(source))
        return shutil.copy(source, target)

    shutil.copytree(folder, folder.parent / "copy", copy_function=copy, dirs_exist_ok=True)
    return seen


LISTINGS: dict[str, Callable[[Path], list[str]]] = {
    "os.listdir": lambda folder: os.listdir(folder),
    "a name bound before": lambda folder: listdir(folder),
    "os.listdir(path=)": lambda folder: os.listdir(path=str(folder)),
    "os.listdir(bytes)": lambda folder: [os.fsdecode(name) for name in os.listdir(os.fsencode(folder))],
    "os.scandir": entries,
    "os.walk": walked,
    "os.walk, from below": lambda folder: [f for *_, fs in os.walk(folder, topdown=False) for f in fs],
    "glob.glob": lambda folder: [Path(name).name for name in glob.glob(f"{folder}/*")],
    "glob.iglob": lambda folder: [Path(n).name for n in glob.iglob(f"{folder}/**/*.txt", recursive=True)],
    "Path.iterdir": lambda folder: [path.name for path in folder.iterdir()],
    "Path.glob": lambda folder: [path.name for path in folder.glob("*.txt")],
    "Path.rglob": lambda folder: [path.name for path in folder.rglob("*.txt")],
    "shutil.copytree": copied,
}


@pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS)
def test_every_listing_function_is_shuffled(listing: Callable[[Path], list[str]], folder: Path) -> None:
    before = listing(folder)
    once, again, other = (under(order, listing, folder) for order in (1, 1, 2))
    assert under(0, listing, folder) == before
    assert sorted(once) == sorted(other) == sorted(before)
    assert once == again
    assert len({tuple(before), tuple(once), tuple(other)}) == 3
    assert listing(folder) == before


@pytest.mark.skipif(os.listdir not in os.supports_fd, reason="listdir takes no descriptors here")
def test_file_descriptor_lists_like_its_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with apply_setting({"order": 1}):
            expected = os.listdir(folder)
            assert os.listdir(descriptor) == expected
            assert [entry.name for entry in os.scandir(descriptor)] == expected
            walked = [files for _, _, files, _ in os.fwalk(folder)]
    finally:
        os.close(descriptor)
    assert walked[0] == [name for name in expected if name != "sub"]


def test_default_is_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with apply_setting({"order": 1}):
        assert os.listdir() == os.listdir(".") == os.listdir(folder) == [each.name for each in os.scandir()]


def test_scandir_entries_match_the_original(folder: Path) -> None:
    with apply_setting({"order": 1}), os.scandir(folder) as found:
        assert iter(found) is found
        first = next(found)
        assert isinstance(first, os.DirEntry)
        assert (first.path, first.is_file() or first.name == "sub") == (
            os.path.join(folder, first.name),
            True,
        )
        assert len(list(found)) == len(_NAMES)
        with pytest.raises(StopIteration):
            next(found)


def test_closed_scandir_is_exhausted(folder: Path) -> None:
    with apply_setting({"order": 1}):
        with os.scandir(folder) as found:
            next(found)
        assert list(found) == []
        closed = os.scandir(folder)
        closed.close()
        closed.close()
        assert list(closed) == []


@pytest.mark.parametrize("listing", [os.listdir, os.scandir], ids=["listdir", "scandir"])
def test_errors_of_listings_are_unchanged(listing: Any, folder: Path) -> None:
    with apply_setting({"order": 1}):
        replaced = getattr(os, listing.__name__)
        for path in (folder / "nothing", folder / _NAMES[0]):
            with pytest.raises(OSError) as real:
                listing(path)
            with pytest.raises(OSError) as caught:
                replaced(path)
            assert (type(caught.value), caught.value.args) == (type(real.value), real.value.args)
        with pytest.raises(TypeError):
            replaced(3.5)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_bytes_names_are_shuffled(tmp_path: Path) -> None:
    names = [b"\xff", b"\xfe\x80", b"plain", "Größe".encode()]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()
    with apply_setting({"order": 1}):
        assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted(names)
        assert sorted(map(os.fsencode, os.listdir(tmp_path))) == sorted(names)


def test_empty_folder_and_single_file_are_unchanged(tmp_path: Path) -> None:
    with apply_setting({"order": 1}):
        assert os.listdir(tmp_path) == []
        (tmp_path / "one").touch()
        assert (os.listdir(tmp_path), entries(tmp_path)) == (["one"], ["one"])


@pytest.mark.parametrize("module", ["glob", "pathlib"])
@pytest.mark.parametrize("kept", [staticmethod(os.scandir), os.scandir], ids=["3.13", "3.10"])
def test_stdlib_classes_with_bound_functions_are_patched(
    module: str, kept: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = {"glob": "_StringGlobber", "pathlib": "_NormalAccessor"}[module]
    keeper = type(name, (), {"scandir": kept})
    monkeypatch.setattr(sys.modules[module], name, keeper, raising=False)
    with apply_setting({"order": 1}):
        assert [entry.name for entry in keeper.scandir(folder)] == entries(folder)  # type: ignore[attr-defined]
    assert vars(keeper)["scandir"] is kept

"""Golden files on the disk: whole whatever happens, in nobody's way, nowhere else."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.golden import EntryUpdate
from pytest_repro.engine import golden
from pytest_repro.engine.golden import load_golden, update_golden
from pytest_repro.values.hashing import digest
from pytest_repro.values.safetensors_file import open_safetensors

KEY, FIELDS = "a" * 16, {"python": "3"}


def value(number: int, count: int = 1) -> tuple[str, NDArray[np.int64]]:
    array = np.full(count, number, "i8")
    return digest(f"int64[{count}]", [array.data.cast("B")]), array


def put(path: Path, *numbers: int, gone: tuple[str, ...] = (), count: int = 1) -> None:
    values = dict(value(each, count) for each in numbers)
    updates = [
        EntryUpdate(f"t.py::test[{n}]", KEY, FIELDS, (StoredValue("x", f"int64[{count}]", name),))
        for n, name in zip(numbers, values)
    ]
    update_golden(path, updates, values, gone)


def names(path: Path) -> set[str]:
    with open_safetensors(path.with_suffix(".safetensors")) as tensors:
        return set() if tensors is None else tensors.names


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "__repro__" / "t.json"


def state(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir()}


def test_entries_gather_and_go(path: Path) -> None:
    put(path, 1)
    put(path, 2)
    assert list(load_golden(path).tests) == ["t.py::test[1]", "t.py::test[2]"]
    assert names(path) == {value(1)[0], value(2)[0]}
    put(path, gone=("t.py::test[1]",))
    assert (list(load_golden(path).tests), names(path)) == (["t.py::test[2]"], {value(2)[0]})
    put(path, gone=("t.py::test[2]",))
    assert not path.parent.exists()


def test_equal_values_touch_no_byte_and_no_file(path: Path) -> None:
    put(path, 1, 2)
    before, times = state(path), [each.stat().st_mtime_ns for each in path.parent.iterdir()]
    put(path, 2, 1)
    assert state(path) == before
    assert set(before) == {"t.json", "t.safetensors"}
    assert [each.stat().st_mtime_ns for each in path.parent.iterdir()] == times


def test_files_are_as_readable_as_others(path: Path) -> None:
    before = os.umask(0o027)
    try:
        put(path, 1)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


WRITER = """
import sys
from pathlib import Path
from tests.engine.golden.test_golden import put
for n in range(int(sys.argv[2]), int(sys.argv[2]) + 10):
    put(Path(sys.argv[1]), n)
"""


def started(code: str, *args: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), *map(str, args)])


def test_sessions_that_write_at_once_lose_nothing(path: Path) -> None:
    writers = [started(WRITER, path, 10 * n) for n in range(4)]
    assert [each.wait(timeout=120) for each in writers] == [0] * 4
    assert len(load_golden(path).tests) == 40
    assert len(names(path)) == 40
    assert set(state(path)) == {"t.json", "t.safetensors"}


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.engine.golden.test_golden import put
real, left = getattr(os, sys.argv[2]), [int(sys.argv[3])]
def dies(*args):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
setattr(os, sys.argv[2], dies)
put(Path(sys.argv[1]), 1, 2, gone=("t.py::test[0]",))
"""


@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("number", range(6))
def test_who_is_killed_as_he_writes_leaves_a_whole(path: Path, call: str, number: int) -> None:
    """At each replacement, and each time before: either all of the old is there, or all of the new."""
    put(path, 0, 1)
    code = started(KILLED, path, call, number).wait(timeout=60)
    tests = set(load_golden(path).tests)
    assert tests in ({"t.py::test[0]", "t.py::test[1]"}, {"t.py::test[1]", "t.py::test[2]"})
    numbers = [int(each[-2]) for each in tests]
    assert names(path) >= {value(each)[0] for each in numbers}
    assert (code == 0) <= (tests == {"t.py::test[1]", "t.py::test[2]"})
    assert code in (0, -signal.SIGKILL)
    assert code or number > 1, "nobody was killed: the test shows nothing"
    put(path, 1, 2, gone=("t.py::test[0]",))  # the next session goes on, and tidies up
    assert set(load_golden(path).tests) == {"t.py::test[1]", "t.py::test[2]"}
    assert set(state(path)) == {"t.json", "t.safetensors"}


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 KiB; not around a whole test, whose report may go to a larger file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_where_the_disk_is_full_the_old_is_whole(path: Path) -> None:
    put(path, 1)
    before = state(path)
    with pytest.raises(OSError) as caught, small_files():
        put(path, 2, count=10_000)
    assert caught.value.errno == errno.EFBIG
    assert state(path) == before


def test_a_disk_that_is_full_for_the_text_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(path, 1)
    real, before = os.replace, path.read_bytes()

    def replace(source: Path, target: Path) -> None:
        if target == path:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="No space left"):
        put(path, 2)
    assert path.read_bytes() == before
    assert names(path) >= {value(1)[0]}
    assert set(state(path)) == {"t.json", "t.safetensors"}


def test_a_lock_that_is_held_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "_LOCK_TIMEOUT", 0.05)
    path.parent.mkdir()
    with (
        golden.lock_file(path.with_name(".t.lock")),
        pytest.raises(OSError, match="another session has been writing"),
    ):
        put(path, 1)
    put(path, 1)
    assert not path.with_name(".t.lock").exists()


def test_values_that_were_lost_are_stored_again(path: Path) -> None:
    put(path, 1)
    text = path.read_bytes()
    path.with_suffix(".safetensors").unlink()
    put(path, 1)
    assert names(path) == {value(1)[0]}
    assert path.read_bytes() == text


def test_a_lock_left_by_the_dead_is_no_lock(path: Path) -> None:
    path.parent.mkdir()
    path.with_name(".t.lock").touch()
    put(path, 1)
    assert set(state(path)) == {"t.json", "t.safetensors"}


@pytest.mark.parametrize("link", ["__repro__", "__repro__/t.json", "__repro__/.t.lock"])
def test_nothing_is_written_through_a_link(tmp_path: Path, path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("mine")
    if link != "__repro__":
        path.parent.mkdir()
    (tmp_path / link).symlink_to(elsewhere if link == "__repro__" else elsewhere / "file")
    with pytest.raises((ValueError, OSError)):
        put(path, 1)
    assert {each.name: each.read_text() for each in elsewhere.iterdir()} == {"file": "mine"}


@pytest.mark.parametrize("name", ["t.json", "t.safetensors"])
def test_what_cannot_be_read_is_not_written_over(path: Path, name: str) -> None:
    put(path, 1)
    (path.parent / name).write_bytes(b"\xff damaged")
    before = state(path)
    with pytest.raises(ValueError, match=r"is not UTF-8 text|t\.safetensors is not a safetensors file"):
        put(path, 2)
    assert state(path) == before


def test_a_huge_text_is_not_read(path: Path) -> None:
    path.parent.mkdir()
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="is too large"):
        load_golden(path)

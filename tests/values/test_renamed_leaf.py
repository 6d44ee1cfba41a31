"""Names of folders in text of tables and attributes."""

from __future__ import annotations

import pytest

from pytest_repro.core.runs.folder_names import FolderNames
from pytest_repro.core.runs.observation import Leaf
from pytest_repro.values.elements import encode_elements
from pytest_repro.values.renamed_leaf import rename_leaf
from tests.conftest import Project

_NAMES = FolderNames({"/tmp/a/test_x12": "<tmp>/test_x"})


def _make_leaf(*elements: str | None) -> Leaf:
    lengths, data = encode_elements([None if each is None else each.encode() for each in elements])
    content = lengths.tobytes() + data
    pieces = memoryview(lengths.tobytes()), memoryview(data)
    return Leaf(f"str[{len(elements)}]", "utf8", (len(elements),), len(content), lambda: pieces)


def _read(leaf: Leaf) -> bytes:
    return b"".join(map(bytes, leaf.read_chunks()))


def test_each_text_of_a_column_is_renamed() -> None:
    found = rename_leaf(_make_leaf("/tmp/a/test_x12/b", None, "/tmp/a/test_x12", "ü"), _NAMES.rename)
    expected = _make_leaf("<tmp>/test_x/b", None, "<tmp>/test_x", "ü")
    assert _read(found) == _read(expected)
    assert (found.kind, found.nbytes) == (expected.kind, expected.nbytes)


def test_other_values_stay_as_they_are() -> None:
    text, path = _make_leaf("b", "/tmp/a/test_x123"), b"/tmp/a/test_x12"
    numbers = Leaf("uint8[15]", "uint8", (15,), 15, lambda: (memoryview(path),))
    assert rename_leaf(numbers, _NAMES.rename) is numbers
    assert _read(rename_leaf(text, _NAMES.rename)) == _read(text)
    assert rename_leaf(text, lambda value: value) is text


_PATHS = """
import pytest
h5py, pd, pl = map(pytest.importorskip, ["h5py", "pandas", "polars"])

def test_paths(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["path"] = str(tmp_path)
        file["x"] = [1.0]
    opened = h5py.File(tmp_path / "a.h5")
    frame = pd.DataFrame({"path": [tmp_path / "a", tmp_path / "b"], "text": [str(tmp_path), None]})
    lazy = pl.DataFrame({"path": [str(tmp_path), str(tmp_path / "c")]})
"""


def test_tables_may_hold_paths_of_temporary_folders(project: Project) -> None:
    for library in ("h5py", "pandas", "polars"):
        pytest.importorskip(library)
    result = project(_PATHS, "--repro-all")
    result.check(passed=1)
    assert result.verdicts == {"test_paths": "reproduced"}

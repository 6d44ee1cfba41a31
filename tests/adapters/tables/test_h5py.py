"""Files of HDF5, path by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import iter_leaves

h5py: Any = pytest.importorskip("h5py")


def write(path: Path, **options: Any) -> Any:
    file = h5py.File(path, "w")
    file.create_dataset("layers/w", data=np.arange(12.0).reshape(3, 4), **options)
    file["layers/w"].attrs["unit"] = "m"
    file["names"] = ["a", "é", ""]
    file["step"] = 3
    file["pairs"] = np.array([(1, 2.5)], [("i", "i4"), ("x", "f8")])
    file["codes"] = np.array([b"ab", b"c"])
    file.attrs["version"] = 2
    return file


def test_paths_are_what_users_write(tmp_path: Path) -> None:
    with write(tmp_path / "a.h5") as file:
        assert [path for path, _, _ in iter_leaves(file, "", flatten)] == [
            "['codes']", "['layers']['w']", "['layers']['w'].attrs['unit']", "['names']", "['pairs']['i']",
            "['pairs']['x']", "['step']", ".attrs['version']",
        ]  # fmt: skip


def test_how_a_file_is_stored_is_no_value(tmp_path: Path) -> None:
    with (
        write(tmp_path / "a.h5") as one,
        write(tmp_path / "b.h5", chunks=(2, 2), compression="gzip", dtype=">f8") as other,
    ):
        assert digest(one) == digest(other)
        assert digest(one["layers/w"]) != digest(one["layers/w"][()])  # it has attributes
        other["layers/w"].attrs["unit"] = "km"
        assert digest(one) != digest(other)
        other["layers/w"].attrs["unit"] = "m"
        other["layers/w"][2, 3] = np.nextafter(11, 12)
        assert digest(one) != digest(other)
        for each in (one, other):
            del each["layers/w"]
        assert digest(one) == digest(other)
        one["names"][1] = "e"
        assert digest(one) != digest(other)


def test_blocks_are_read_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_repro.adapters.tables import h5py as adapter

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.arange(1000, dtype="i4").reshape(100, 10)
        whole = digest(file)
        monkeypatch.setattr(adapter, "_BLOCK_BYTES", 120)
        assert digest(file) == whole


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.h5")
    file["gone"] = h5py.SoftLink("/nowhere")
    with pytest.raises(TypeError, match=r"^value\['gone'\] is a link to something that does not exist$"):
        digest(file)
    del file["gone"]
    file["other"] = file["step"].ref
    with pytest.raises(TypeError, match=r"^value\['other'\] holds references"):
        digest(file)
    dataset = file["step"]
    file.close()
    for each in (file, dataset):
        with pytest.raises(TypeError, match=r"^value is in a file that is closed: record it before"):
            digest(each)

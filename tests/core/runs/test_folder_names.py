"""Names of temporary folders in recorded values."""

from __future__ import annotations

from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from pytest_repro.core.runs.folder_names import FolderNames

NAMES = FolderNames({
    "/t/pytest-1": "<tmp>", "/t/pytest-1/test_x1": "<tmp>/test_x", "test_x1": "test_x",
    "/t/pytest-1/data0": "<tmp>/data",
})  # fmt: skip


class Text(Enum):
    PLACE = "/t/pytest-1/test_x1"


@pytest.mark.parametrize(
    ("value", "renamed"),
    [
        ("/t/pytest-1/test_x1/m.pt", "<tmp>/test_x/m.pt"),
        ("saved file:///t/pytest-1/data0: ok", "saved file://<tmp>/data: ok"),
        ("../t/pytest-1", "..<tmp>"),
        ("test_x1", "test_x"),
        ("../test_x1/test_x10", "../test_x/test_x10"),
        (b"\xff/t/pytest-1/test_x1\x00", b"\xff<tmp>/test_x\x00"),
        (Path("/t/pytest-1/test_x1/m.pt"), Path("<tmp>/test_x/m.pt")),
        (PurePosixPath("/t/pytest-1/test_x1"), PurePosixPath("<tmp>/test_x")),
        ({"/t/pytest-1/test_x1", 3}, {"<tmp>/test_x", 3}),
        ({("a", "/t/pytest-1/data0"): "/t/pytest-1"}, {("a", "<tmp>/data"): "/t/pytest-1"}),
        (np.array([["/t/pytest-1/data0", "b"]]), np.array([["<tmp>/data", "b"]])),
        (np.array([b"/t/pytest-1"]), np.array([b"<tmp>"])),
    ],
)
def test_a_name_is_replaced_wherever_it_stands(value: Any, renamed: Any) -> None:
    found = NAMES.rename(value)
    assert type(found) is type(renamed)
    assert np.array_equal(found, renamed)
    assert getattr(found, "dtype", None) == getattr(renamed, "dtype", None)


@pytest.mark.parametrize(
    "value",
    [
        "/t/pytest-12", "/t/pytest-1x", "test_x10", "in test_x1", "data0",
        b"\xff", bytearray(b"data0"), Text.PLACE, 1.5, None, ["/t/pytest-1"], {"a": 1}, frozenset({1}),
        np.array(["a"]), np.zeros(3), Path("a"),
    ],
)  # fmt: skip
def test_everything_else_stays_the_same_object(value: Any) -> None:
    assert NAMES.rename(value) is value

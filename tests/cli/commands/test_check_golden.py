"""``pytest-repro check-golden``, on golden files that a session wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.reports import run
from tests.conftest import Project

pytest.importorskip("numpy")


@pytest.fixture
def golden(project: Project, pytester: pytest.Pytester) -> Path:
    project(
        """
        import numpy as np, pytest
        @pytest.mark.reproducible(baseline=True)
        def test_a(repro):
            repro.record(small=np.arange(8.0), large=np.zeros(20_000), name="adam")
        """,
        "--repro-update",
    )
    return pytester.path / "__repro__" / "test_it.json"


def test_a_golden_file_with_its_values_is_complete(golden: Path, capsys: Any) -> None:
    assert golden.with_suffix(".safetensors").exists()
    for path in (golden, golden.with_suffix(".safetensors"), golden.parent.parent):
        assert run(capsys, "check-golden", str(path)) == (0, "1 golden file complete\n", "")


def test_files_that_do_not_belong_together_are_rejected(golden: Path, capsys: Any) -> None:
    values = golden.with_suffix(".safetensors")
    content, text = values.read_bytes(), golden.read_text()
    values.unlink()
    expected = f"{golden} lacks its values: test_it.safetensors is missing; commit it too\n"
    assert run(capsys, "check-golden", str(golden)) == (1, expected, "")

    values.write_bytes(content[:20])
    code, out, _ = run(capsys, "check-golden", str(golden))
    assert (code, out.split(":")[0]) == (
        1,
        f"{golden} has values that cannot be read",
    )

    values.write_bytes(content)
    golden.write_text(text.replace("float64[8]", "float64[9]").replace('"digest": "', '"digest": "0', 1))
    code, out, _ = run(capsys, "check-golden", str(golden))
    assert code == 1
    assert out.startswith(f"{golden} is damaged: ")

    golden.unlink()
    expected = f"{golden} belongs to no golden file: test_it.json is missing\n"
    assert run(capsys, "check-golden", str(values)) == (1, expected, "")


def test_values_of_another_golden_file(golden: Path, capsys: Any) -> None:
    text = golden.read_text()
    at = text.index('"float64[8]"')
    digest_at = text.rindex('"digest": "', 0, at) + len('"digest": "')
    golden.write_text(f"{text[:digest_at]}{'0' * 32}{text[digest_at + 32 :]}")
    expected = f"{golden} lacks 1 of its 2 values, which test_it.safetensors does not hold\n"
    assert run(capsys, "check-golden", str(golden)) == (1, expected, "")


def test_a_path_that_does_not_exist_is_named(capsys: Any, tmp_path: Path) -> None:
    expected = f"pytest-repro check-golden: {tmp_path / 'gone'} does not exist\n"
    assert run(capsys, "check-golden", str(tmp_path / "gone")) == (2, "", expected)

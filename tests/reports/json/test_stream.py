"""Reports are read one test at a time, and as strictly as at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.reports.json import stream
from pytest_repro.reports.json.report import BadReport
from pytest_repro.reports.json.stream import ReportStream

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def read(path: Path) -> tuple[list[Any], list[str], Any]:
    """Rows, their texts, and the head."""
    report = ReportStream(str(path))
    tests = list(report)
    return [test.node.value for test in tests], [test.text for test in tests], report.head.value


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read in pieces of 7 bytes: every kind of token is cut somewhere."""
    monkeypatch.setattr(stream, "_CHUNK_BYTES", 7)


@pytest.mark.usefixtures("small_pieces")
@given(rows=st.lists(JSON, max_size=4), indent=st.sampled_from([None, 1]), ascii=st.booleans(), number=JSON)
def test_pieces_give_what_the_whole_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], indent: int | None, ascii: bool, number: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "stream.json"
    report = {"format": 1, "x": number, "tests": rows, "seed": 0}
    path.write_text(json.dumps(report, indent=indent, ensure_ascii=ascii), "utf-8", "surrogatepass")
    values, texts, head = read(path)
    assert values == rows == [json.loads(text) for text in texts]
    assert head == {"format": 1, "x": number, "seed": 0}


@pytest.mark.usefixtures("small_pieces")
def test_a_report_that_is_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.json"
    whole = json.dumps({"format": 1, "tests": [{"a": 1.25e-7, "b": "é\\", "c": [True]}, {}], "seed": -1})
    for length in range(1, len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(BadReport, match=r"cut\.json is not JSON: .* at line 1 \(cut off\?\)$"):
            read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("<testsuite/>", "is not a report of pytest-repro: it is not a JSON object"),
        ('{"tests": []}', 'is not a report of pytest-repro: it has no "format"; --repro-json=PATH writes '
         "one"),
        ('{"format": 1}', "has no 'tests'"),
        ('{"format": 1, "tests": {}}', "tests is not a list"),
        ('{"format": 2, "tests": [', "is of format 2, and this pytest-repro reads up to format 1: install a "
         "newer one"),
        ('{"format": "1"}', 'format is "1", not a whole number'),
        ('{"format": 1,\n"tests": [{"x": NaN}]}', "is not JSON: NaN is not strict JSON"),
        ('{"format": 1,\n"tests": [{}\n{}], "seed": 0}            ',
         "is not JSON: Expecting ',' or ']' at line 3"),
        ('{"format": 1, "tests": []} []', "is not JSON: Extra data at line 1"),
        ('{"format": 1, "tests": [' + "[" * 100_000, "is nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(BadReport) as caught:
        read(path)
    assert str(caught.value).replace(f"{path}: ", f"{path} ") == f"{path} {message}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes(b'{"format": 1, "x": "\xe9"}')
    for path, message in (
        (tmp_path / "none.json", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "latin.json", "is not JSON: it is not UTF-8 text"),
        ("a\0b", "cannot be read: embedded null byte"),
    ):
        with pytest.raises(BadReport) as caught:
            read(Path(path))
        assert str(caught.value) == f"{path} {message}"


@pytest.mark.usefixtures("small_pieces")
def test_a_test_without_an_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "MAX_TEST_MIB", 0.001)
    path = tmp_path / "long.json"
    path.write_text('{"format": 1, "tests": [{"x": "' + "y" * 5000)
    with pytest.raises(BadReport, match=r"long\.json has a test larger than 0\.001 MiB: no report has one"):
        read(path)

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.reports import ENVIRONMENT, number, report, row, run

COUNT = 300


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Two kinds of machines, one that is alone, and a test on which every machine is alone."""
    found = []
    for n in range(COUNT):
        rows = [
            row(number("x", float(n < 100)), nodeid="t.py::test_isa"),
            *(row(number("x", float(n == 150)), nodeid=f"t.py::test_one[{k}]") for k in range(3)),
            row(number("x", float(n)), nodeid="t.py::test_<b>random</b>"),
            row(number("x", 1.0), nodeid="t.py::test_same"),
            *([row(number("x", float(n == 3)), nodeid="t.py::test_few")] if n < 9 else []),
        ]
        environment = {**ENVIRONMENT, "cpu capability": "AVX2" if n < 100 else "AVX512"}
        found.append(report(tmp_path / f"m{n:03}.json", *rows, environment=environment))
    return found


def test_machines_collapse_into_rows(paths: list[str], tmp_path: Path, capsys: Any) -> None:
    assert run(capsys, "compare", *paths, f"--html={tmp_path / 'page.html'}")[0] == 1
    page = (tmp_path / "page.html").read_text()
    body = page.partition("<tbody>")[2].partition('class="matrix"')[2].partition("</table>")[0]
    rows = [re.findall(r'class="cell (\w+)">([^<]*)', line) for line in body.split("<tr>")[2:]]
    # 39 | 1 on three tests, AVX2 | AVX512, the test of every machine its own, and the test of nine machines
    assert rows == [
        [("c0", "A"), ("c0", "A"), ("none", "≠"), ("none", "–")],
        [("c0", "A"), ("c1", "B"), ("none", "≠"), ("none", "–")],
        [("c0", "A"), ("c1", "B"), ("none", "≠"), ("c0", "A")],
        [("c0", "A"), ("c1", "B"), ("none", "≠"), ("c1", "B")],
        [("c1", "B"), ("c0", "A"), ("none", "≠"), ("none", "–")],
    ]
    assert "199 machines</summary>" in body
    assert "1 of 7 compared tests agrees everywhere" in page
    assert "m150 may corrupt data silently" in page
    assert "instruction set: AVX512 | AVX2 (cpu capability)" in page
    assert "test_&lt;b&gt;random" in page
    assert "<b>random" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)  # opens from a file


def test_json_has_everything(paths: list[str], capsys: Any) -> None:
    code, out, _ = run(capsys, "compare", *paths, "--json")
    found = json.loads(out)
    assert code == 1
    assert (found["format"], found["agree"]) == (1, False)
    assert found["summary"] == {"differs": 6, "equal": 1}
    assert found["machines"][7] == {"name": "m007", "path": paths[7], "tests": 7}
    assert [each["value"] for each in found["environment"]["cpu capability"]] == ["AVX2", "AVX512"]
    assert found["suspects"] == [
        {"machine": "m150", "alone": 3, "tests": 7, "same_environment": 199, "most_of_others": 1}
    ]
    one, isa, every, few = found["partitions"]
    assert [part["sizes"] for part in (one, isa, few)] == [[299, 1], [200, 100], [8, 1]]
    assert every["sizes"] == [1] * COUNT
    assert one["same_environment"] == ["m100", "m150"]
    fields = [{"name": "cpu capability", "sets": "instruction set", "values": ["AVX512", "AVX2"]}]
    assert (isa["established"], isa["fields"], one["established"], one["fields"]) == (True, fields, False, [])
    assert isa["classes"][1] == [f"m{n:03}" for n in range(100)]
    tests = {each["nodeid"]: each for each in found["tests"]}
    assert tests["t.py::test_isa"] == {
        "nodeid": "t.py::test_isa", "outcome": "differs", "machines": COUNT, "values": 1,
        "splits": [{"partition": 1, "values": ["x"], "max_abs": 1.0}],
    }  # fmt: skip
    assert len(tests["t.py::test_few"]["excluded"]["missing"]) == COUNT - 9


def test_two_machines_have_a_page_and_json_too(paths: list[str], tmp_path: Path, capsys: Any) -> None:
    plain = run(capsys, "compare", *paths[:2])
    assert run(capsys, "compare", *paths[:2], f"--html={tmp_path / 'page.html'}") == plain
    assert "5 of 7 compared tests agree everywhere" not in plain[1]
    assert "6 of 7 compared tests agree everywhere" in (tmp_path / "page.html").read_text()
    assert json.loads(run(capsys, "compare", *paths[:2], "--json")[1])["summary"] == {
        "differs": 1,
        "equal": 6,
    }


def test_a_page_that_cannot_be_written(paths: list[str], tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "file").write_text("")
    code, out, err = run(capsys, "compare", *paths[:3], f"--html={tmp_path / 'file' / 'page.html'}")
    assert (code, out) == (2, "")
    assert f"--html={tmp_path / 'file' / 'page.html'} cannot be written: " in err

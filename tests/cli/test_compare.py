from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.cli.compare import CompareOptions, compare_value, measure_difference
from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import EXACT, Plan, Tolerance
from pytest_repro.reports.json.rows import verdict_to_row
from tests.cli.reports import ENVIRONMENT, RUNS, number, report, row, run, written

LARGE = StoredValue(
    "w",
    "float32[99]",
    "1" * 32,
    statistics=Statistics(0.0, 2.0, 1.0, 0.5, 9.0, elements=((0, "0.5"), (98, "nan"))),
)
LIKE = StoredValue(
    "w",
    "float32[99]",
    "2" * 32,
    statistics=Statistics(0.0, 2.0, 1.0 + 1e-9, 0.5, 9.0, elements=((0, "0.500001"), (98, "nan"))),
)


def both(
    tmp_path: Path, capsys: Any, a: list[StoredValue], b: list[StoredValue], *options: str
) -> tuple[int, str]:
    one, other = report(tmp_path / "a.json", row(*a)), report(tmp_path / "b.json", row(*b))
    code, out, err = run(capsys, "compare", one, other, *options)
    assert not err
    return code, out


def test_the_whole_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    shared = [number("loss[0]", 2.5), number("loss[1]", 2.25), number("loss[2]", 2.0), LARGE]
    there = [number("loss[0]", 2.5), number("loss[1]", 2.0), number("loss[2]", 1.0), LIKE]
    a = report(
        Path("a.json"),
        row(*shared),
        row(number("x", 1.0), nodeid="test_a.py::test_same"),
        row(nodeid="test_a.py::test_wild", word="diverged"),
        row(nodeid="test_a.py::test_off", word="skipped"),
        row(number("x", 1.0), nodeid="test_a.py::test_old"),
    )
    b = report(
        Path("ci/b.json"),
        row(nodeid="test_a.py::test_off", word="skipped"),
        row(number("x", 1.0), nodeid="test_a.py::test_same"),
        row(*there),
        row(number("x", 1.0), nodeid="test_a.py::test_wild"),
        row(number("x", 1.0), nodeid="test_a.py::test_new"),
        environment={**ENVIRONMENT, "cpu capability": "DEFAULT", "threads": "2"},
    )
    code, out, _ = run(capsys, "compare", a, b)
    assert code == 1
    assert out == (
        "A  a.json     5 tests, seed 0\n"
        "B  ci/b.json  5 tests, seed 0\n"
        "\n"
        "environment  2 of 3 fields differ\n"
        "  cpu capability  AVX2 in A, DEFAULT in B\n"
        "  threads         missing in A, 2 in B\n"
        "\n"
        "differs  test_a.py::test_a  loss[1] and 2 more differ, max abs 0.25\n"
        "  loss[1]   float64[]\n"
        "    max abs 0.25, max rel 0.111\n"
        "    2.25 in A, 2.0 in B\n"
        "    1 more of loss differs too\n"
        "  w   float32[99]\n"
        "    more than 64 elements: only statistics are known\n"
        "      mean       1.0 in A, 1.000000001 in B\n"
        "      element 0  0.5 in A, 0.500001 in B\n"
        "only in A  test_a.py::test_old  reproduced\n"
        "only in B  test_a.py::test_new  reproduced\n"
        "not compared  test_a.py::test_wild  diverged in A, reproduced in B\n"
        "ignored  test_a.py::test_off  skipped on both\n"
        "\n"
        "compared bit for bit: 1 equal, 1 ignored, 1 not compared, 1 only in A, 1 only in B, 1 differs\n"
        "a test that is not reproducible on its own machine counts as a difference: fix it there first\n"
    )


def test_equal_reports_agree(tmp_path: Path, capsys: Any) -> None:
    code, out = both(tmp_path, capsys, [number("x", 1.0), LARGE], [number("x", 1.0), LARGE])
    assert code == 0
    assert out.endswith("environment  all 2 fields equal\n\ncompared bit for bit: 1 equal\n")


def test_a_tolerance_is_asked_of_numbers(tmp_path: Path, capsys: Any) -> None:
    a, b = [number("x", 100.0), number("y", 0.0)], [number("x", 100.5), number("y", 0.25)]
    assert both(tmp_path, capsys, a, b)[0] == 1
    assert both(tmp_path, capsys, a, b, "--rtol=0.004", "--atol=0.05")[0] == 1
    code, out = both(tmp_path, capsys, a, b, "--rtol=0.005", "--atol=0.25")
    assert code == 0
    line = "close  test_a.py::test_a  2 of 2 values not equal bit for bit, largest max abs 0.5 at x"
    assert line in out
    assert "compared within rtol 0.005 and atol 0.25: 1 close" in out


def test_a_large_array_is_never_close_unless_its_statistics_are_taken(tmp_path: Path, capsys: Any) -> None:
    near = ("--rtol=1e-5", "--atol=0")
    code, out = both(tmp_path, capsys, [LARGE], [LIKE], *near)
    assert code == 1
    assert out.endswith(
        "1 value of more than 64 elements counts as different: reports hold only statistics of them.\n"
        "Record at most 64 elements of each, or compare the statistics with --statistics\n"
    )
    assert "hold only statistics" not in both(tmp_path, capsys, [LARGE], [number("x", 1.0)], *near)[1]
    assert both(tmp_path, capsys, [LARGE], [LIKE], *near, "--statistics")[0] == 0
    assert both(tmp_path, capsys, [LARGE], [LIKE], "--rtol=1e-10", "--atol=0", "--statistics")[0] == 1
    turned = LIKE.statistics._replace(elements=((0, "-0.5"), (98, "nan"))) if LIKE.statistics else None
    code, out = both(tmp_path, capsys, [LARGE], [LIKE._replace(statistics=turned)], *near, "--statistics")
    assert code == 1
    assert "element 0  0.5 in A, -0.5 in B" in out
    assert "hold only statistics" not in out
    dropped = StoredValue("w", "float32[99]", "2" * 32)
    code, out = both(tmp_path, capsys, [LARGE], [dropped], *near, "--statistics")
    assert code == 1
    assert "by an unknown amount: the reports hold digests only" in out


def _in_container(kind: str) -> StoredValue:
    return number("x[0]", 1.0)._replace(containers=(("x", kind),))


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (number("x", 0.0), number("x", -0.0), "equal numbers with different bits"),
        (number("x", 1.0), number("x", 1.0, "float32[]"), "x   float64[] in A, float32[] in B"),
        (_in_container("list"), _in_container("tuple"), "x   list in A, tuple in B\n"),
        (number("x", 1.0), number("y", 1.0), "x   float64[]   recorded in A only"),
        (
            StoredValue("x", "str", "1", text="cat"),
            StoredValue("x", "str", "2", text="a"),
            "'cat' in A, 'a' in B",
        ),
        (number("x", math.nan), number("x", 1.0), "1 with NaN or infinity"),
        (
            StoredValue("x", "float32[2, 2]", "1", (0.0, 0.1, 0.25, 0.5)),
            StoredValue("x", "float32[2, 2]", "2", (0.0, 0.1, 0.25, 0.1)),
            "first at [1, 1]: 0.5 in A, 0.1 in B",
        ),
    ],
)  # fmt: skip
def test_what_differs_is_said(tmp_path: Path, capsys: Any, a: StoredValue, b: StoredValue, says: str) -> None:
    code, out = both(tmp_path, capsys, [a], [b])
    assert code == 1
    assert says in out


def test_nothing_compared_is_no_pass(tmp_path: Path, capsys: Any) -> None:
    a = report(tmp_path / "a.json", row(word="skipped"))
    code, out, _ = run(capsys, "compare", a, a)
    assert code == 1
    assert out.endswith("no test was compared: the machines do not count as equal\n")
    empty = report(tmp_path / "b.json")
    assert run(capsys, "compare", empty, empty)[0] == 1


def test_tests_of_one_node_id_are_told_apart(tmp_path: Path, capsys: Any) -> None:
    a = report(tmp_path / "a.json", row(number("x", 1.0)), row(number("x", 2.0)))
    b = report(tmp_path / "b.json", row(number("x", 1.0)), row(number("x", 3.0)))
    assert run(capsys, "compare", a, a)[0] == 0
    assert "1 equal, 1 differs" in run(capsys, "compare", a, b)[1]


def test_another_seed_is_named(tmp_path: Path, capsys: Any) -> None:
    a = report(tmp_path / "a.json", row(number("x", 1.0)))
    b = report(tmp_path / "b.json", row(number("x", 2.0), seed=3), seed=3)
    assert "test_a.py::test_a  seed 0 in A, 3 in B: x differs, max abs 1" in run(capsys, "compare", a, b)[1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rtol=1"], "--rtol and --atol must be given together"),
        (["--rtol=-1", "--atol=0"], "rtol=-1.0: a finite number, 0 or more"),
        (["--rtol=nan", "--atol=0"], "rtol=nan: a finite number, 0 or more"),
        (["--statistics"], "--statistics needs a tolerance: give --rtol and --atol as well"),
        (["--rtol=x", "--atol=0"], "argument --rtol: invalid float value: 'x'"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, capsys: Any, options: list[str], says: str) -> None:
    a = report(tmp_path / "a.json", row(number("x", 1.0)))
    code, out, err = run(capsys, "compare", a, a, *options)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].endswith(says)


def test_a_report_without_values_is_no_silent_pass(tmp_path: Path, capsys: Any) -> None:
    old = json.loads(Path(report(tmp_path / "a.json", row(number("x", 1.0)))).read_text())
    del old["tests"][0]["observations"]
    path = written(tmp_path / "old.json", old)
    code, _, err = run(capsys, "compare", path, path)
    assert code == 2
    assert "tests[0]: test_a.py::test_a has no values" in err


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path, capsys: Any) -> None:
    a = report(tmp_path / "a.json", row(number("x", 1.0), nodeid="a\x1b[31m\n::error::b\u202e"))
    b = report(tmp_path / "b.json", row(number("x", 2.0)))
    _, out, _ = run(capsys, "compare", a, b)
    assert "only in A  a\\x1b[31m\\n::error::b\\u202e" in out


def test_two_thousand_tests_that_differ_stay_readable(tmp_path: Path, capsys: Any) -> None:
    many = [f"t.py::test[{n}]" for n in range(2000)]
    a = report(tmp_path / "a.json", *(row(number("x", 1.0), nodeid=name) for name in many))
    b = report(tmp_path / "b.json", *(row(number("x", 2.0), nodeid=name) for name in many))
    code, out, _ = run(capsys, "compare", a, b)
    assert code == 1
    assert out.count("1.0 in A, 2.0 in B") == 20
    assert out.count("differs  t.py") == 2000


NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(), st.complex_numbers(allow_nan=True, allow_infinity=True)
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), st.floats(0, 1e300), st.floats(0, 1e300))
def test_any_numbers_have_a_distance(pairs: list[tuple[Any, Any]], rtol: float, atol: float) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    found = measure_difference(a, b, f"float64[{len(a)}]", Tolerance(rtol, atol))
    assert 0 <= found.outside_tolerance <= found.differing <= found.total == len(pairs)
    assert found.max_abs is None or (found.max_abs >= 0 and math.isfinite(found.max_abs))
    assert not measure_difference(a, a, f"float64[{len(a)}]", EXACT).differing


@pytest.mark.parametrize(
    ("kind", "index"), [("float32[2, 2]", (1, 0)), ("float32[2, 2] weak", (1, 0)), ("list", ())]
)
def test_the_first_element_is_found_in_the_shape(kind: str, index: tuple[int, ...]) -> None:
    assert measure_difference([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 0.0, 4.0], kind, EXACT).first_index == index


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.floats(0, 1), st.floats(0, 1e6))
def test_closeness_is_the_markers(a: float, b: float, rtol: float, atol: float) -> None:
    found = compare_value("x", number("x", a), number("x", b), CompareOptions(Tolerance(rtol, atol)))
    if repr(a) == repr(b):
        assert found is None
    else:
        assert found is not None
        close = a == b or abs(b - a) <= atol + rtol * abs(a)
        assert found.close == (close and (rtol, atol) != (0, 0))


def test_what_a_golden_file_says_is_no_difference_of_machines(tmp_path: Path, capsys: Any) -> None:
    stored = {"path": "__repro__/test_a.json", "environment": "0" * 16}
    same, other = number("x", 1.0), number("x", 2.0)
    unlike = {**row(other, word="diverged"), "baseline": stored}
    for one, word, said in [
        (row(same, word="no-baseline"), 0, "compared bit for bit: 1 equal\n"),
        (row(same, word="foreign-baseline"), 0, "compared bit for bit: 1 equal\n"),
        (row(other, word="no-baseline"), 1, "reproduced in A, no-baseline in B: x differs, max abs 1"),
        (unlike, 1, "reproduced in A, differs from its golden file in B: x differs, max abs 1"),
        (row(same, word="diverged"), 1, "not compared  test_a.py::test_a  reproduced in A, diverged in B"),
        (row(word="no-baseline"), 1, "not compared  test_a.py::test_a  reproduced in A, no-baseline in B"),
    ]:
        a, b = report(tmp_path / "a.json", row(same)), report(tmp_path / "b.json", one)
        code, out, _ = run(capsys, "compare", a, b)
        assert (code, said in out) == (word, True), out


def _marked(path: Path, values: list[StoredValue], **plan: Any) -> str:
    """A report of a test whose marker has *plan*."""
    verdict = Verdict("reproduced", Plan(**plan), RUNS)
    return report(path, verdict_to_row("test_a.py::test_a", verdict, values))


def test_the_tolerance_of_a_marker_applies(tmp_path: Path, capsys: Any) -> None:
    near = Tolerance(0.0, 0.5)
    a = _marked(tmp_path / "a.json", [number("x", 1.0), LARGE], tolerance=near)
    b = _marked(tmp_path / "b.json", [number("x", 1.25), LARGE], tolerance=near)
    code, out, _ = run(capsys, "compare", a, b)
    assert code == 0
    assert "close  test_a.py::test_a  1 of 2 values not equal bit for bit, largest max abs 0.25 at x\n" in out
    assert out.endswith("compared bit for bit, or as the marker says: 1 close\n")
    assert run(capsys, "compare", a, b, "--rtol=0", "--atol=0.1")[0] == 1
    unlike = _marked(tmp_path / "c.json", [number("x", 1.25), LARGE])
    code, out, _ = run(capsys, "compare", a, unlike)
    assert code == 1
    assert (
        "test_a.py::test_a  within rtol 0 and atol 0.5 in A, bit for bit in B: x differs, max abs 0.25" in out
    )
    far = _marked(tmp_path / "d.json", [number("x", 1.0), LIKE], tolerance=near)
    code, out, _ = run(capsys, "compare", a, far)
    assert code == 1
    assert out.endswith("or compare the statistics with --rtol, --atol and --statistics\n")


def _train(loss: float, *, steps: int = 2, last: float = 0.5, weight: float = 1.0) -> list[StoredValue]:
    """A series, its last step, a part of a module, and predictions of a rank."""
    module = number("rank0.model.weight", weight)._replace(containers=(("rank0.model", "Linear"),))
    series = [number(f"rank0.loss[{n}]", loss) for n in range(steps)]
    nested = number("rank0.metrics['f1']", 1.0)._replace(containers=(("rank0.metrics", "dict"),))
    return [*series, number(f"rank0.loss[{steps}]", last), nested, module]


@pytest.mark.parametrize(
    ("level", "there", "code"),
    [
        ("process", _train(2.0, weight=9.0), 0),
        ("process", _train(3.0), 1),
        ("outcome", _train(3.0, weight=9.0), 0),
        ("outcome", _train(3.0, steps=7), 0),
        ("outcome", _train(2.0, last=0.25), 1),
        ("bitwise", _train(2.0, weight=9.0), 1),
    ],
)
def test_the_level_of_a_marker_applies(
    tmp_path: Path, capsys: Any, level: Any, there: list[StoredValue], code: int
) -> None:
    a = _marked(tmp_path / "a.json", _train(2.0), level=level, ranks=1)
    b = _marked(tmp_path / "b.json", there, level=level, ranks=1)
    found, out, _ = run(capsys, "compare", a, b)
    assert found == code, out
    assert ("as the marker says" in out) == (level != "bitwise")


def test_another_number_of_ranks_is_named(tmp_path: Path, capsys: Any) -> None:
    a = _marked(tmp_path / "a.json", [number("x", 1.0)], ranks=2)
    b = _marked(tmp_path / "b.json", [number("x", 2.0)], ranks=4)
    expected = "bit for bit, ranks 2 in A, bit for bit, ranks 4 in B: x differs, max abs 1"
    assert expected in run(capsys, "compare", a, b)[1]


@pytest.mark.parametrize(
    ("kind", "a", "b", "shown"),
    [("int", 2**70, 2**70 + 1, ("1180591620717411303424", "1180591620717411303425")),
     ("datetime64[D][1]", 19723, 19724, ("2024-01-01", "2024-01-02"))],
)  # fmt: skip
def test_large_integers_and_dates_are_shown_as_such(
    kind: str, a: int, b: int, shown: tuple[str, str]
) -> None:
    assert measure_difference([a], [b], kind, EXACT).first_values == shown

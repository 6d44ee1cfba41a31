from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.cli.fleet.text import name_class
from pytest_repro.core.compare.stored_value import StoredValue
from pytest_repro.core.compare.verdict import Verdict
from pytest_repro.core.plan.plan import Plan, Tolerance
from pytest_repro.reports.json.rows import verdict_to_row
from tests.cli.reports import ENVIRONMENT, RUNS, number, report, row, run

Rows = Iterator[dict[str, Any]]


def write(count: int, make: Callable[[int], Rows], fields: Callable[[int], dict[str, str]]) -> list[str]:
    """Reports m0.json, m1.json, … in the current folder, of machines with *fields*."""
    environments = ({**ENVIRONMENT, **fields(n)} for n in range(count))
    return [report(Path(f"m{n}.json"), *make(n), environment=each) for n, each in enumerate(environments)]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def mixed(n: int) -> Rows:
    isa, threads = float(n < 3), n % 2
    loss = [number("data", 0.0), number("loss[0]", 2.0), number("loss[1]", 2.5 + isa), number("loss[2]", isa)]
    yield row(*loss, nodeid="t.py::test_isa") | {
        "unseeded": [{"generator": "numpy", "location": "t.py:7"}],
        "seconds": n,
    }
    yield row(number("both", 2.0 * threads + isa), nodeid="t.py::test_both")
    yield row(number("images", float(n == 6)), number("loss", 1.0), nodeid="t.py::test_input")
    yield row(number("x", 1.0), nodeid="t.py::test_same")
    yield row(number("x", 1.0), nodeid="t.py::test_wild", word="diverged" if n in (2, 5) else "reproduced")
    yield row(nodeid="t.py::test_off", word="skipped")
    if n:
        yield row(number("x", 1.0), nodeid="t.py::test_new")


def test_the_whole_text(capsys: Any) -> None:
    fields = lambda n: {  # noqa: E731
        "cpu capability": "AVX2" if n < 3 else "AVX512",
        "numpy simd": "X86_V3" if n < 3 else "X86_V4",
        "threads": f"{1 + n % 2}",
        **({"OMP_NUM_THREADS": "2"} if n % 2 else {}),
    }
    code, out, err = run(capsys, "compare", *write(8, mixed, fields))
    assert (code, err) == (1, "")
    assert out == (
        "8 machines, 7 tests\n"
        "\n"
        "environment  4 of 6 fields differ\n"
        "  cpu capability   AVX512 on 5 (m3, m4, m5, m6, m7)\n"
        "                   AVX2 on 3 (m0, m1, m2)\n"
        "  numpy simd       X86_V4 on 5 (m3, m4, m5, m6, m7)\n"
        "                   X86_V3 on 3 (m0, m1, m2)\n"
        "  threads          1 on 4 (m0, m2, m4, m6)\n"
        "                   2 on 4 (m1, m3, m5, m7)\n"
        "  OMP_NUM_THREADS  not set on 4 (m0, m2, m4, m6)\n"
        "                   2 on 4 (m1, m3, m5, m7)\n"
        "inputs  t.py::test_input  images splits 7 | 1, before any result\n"
        "draws  t.py::test_isa  numpy at t.py:7, on 8 of 8: only the plugin seeded it\n"
        "\n"
        "splits 5 | 3  in 1 test\n"
        "  A          5 machines: m3, m4, m5, m6, m7\n"
        "  B          3 machines: m0, m1, m2\n"
        "  same split instruction set: AVX512 | AVX2 (cpu capability, also numpy simd)\n"
        "  values     t.py::test_isa  loss[1] and 1 more, max abs 1; its inputs agree (data, …)\n"
        "\n"
        "splits 3 | 2 | 2 | 1  in 1 test\n"
        "  A          3 machines: m3, m5, m7\n"
        "  B          2 machines: m0, m2\n"
        "  C          2 machines: m4, m6\n"
        "  D          1 machine: m1\n"
        "  same split instruction set and threads together, neither of them alone\n"
        "  values     t.py::test_both  both, max abs 2\n"
        "\n"
        "splits 7 | 1  in 1 test\n"
        "  A          7 machines: m0, m1, m2, m3, m4, m5, and 1 more\n"
        "  B          1 machine: m6\n"
        "  same split no field of the environment, and no two: a cause is not established\n"
        "             m4 and m6 have one environment and other values\n"
        "             differing fields: instruction set, threads\n"
        "  values     t.py::test_input  images, max abs 1\n"
        "\n"
        "not compared  not reproducible on their own machine on 2 of 8 (m2, m5): t.py::test_wild\n"
        "not compared  not in the report on 1 of 8 (m0): t.py::test_new\n"
        "\n"
        "1 of 6 compared tests agrees everywhere\n"
        "compared bit for bit: 3 equal, 1 ignored, 3 differ\n"
        "a test that is not reproducible on its own machine counts as a difference: fix it first\n"
    )


def test_machines_that_agree(capsys: Any) -> None:
    paths = write(
        3, lambda n: iter([row(number("x", 1.0)), row(nodeid="b.py::t", word="skipped")]), lambda n: {}
    )
    code, out, _ = run(capsys, "compare", *paths)
    assert code == 0
    assert out == (
        "3 machines, 2 tests\n"
        "copies of one report, counted as 3 machines: m0, m1, m2\n"
        "\n"
        "environment  all 3 fields equal\n"
        "\n"
        "1 of 1 compared tests agrees everywhere\n"
        "compared bit for bit: 1 equal, 1 ignored\n"
    )


def test_what_is_not_on_every_machine_is_no_pass(capsys: Any) -> None:
    paths = write(3, lambda n: iter([row(number("x", 1.0))] * (n > 0)), lambda n: {})
    assert run(capsys, "compare", *paths)[0] == 1
    paths = write(3, lambda n: iter([row(number("x", 1.0), nodeid=f"t.py::t{n}")]), lambda n: {})
    code, out, _ = run(capsys, "compare", *paths)
    assert code == 1
    assert out.endswith(
        "compared bit for bit: 3 not compared\nno test was compared: the machines do not count as equal\n"
    )


def test_a_suspect_is_named_with_counts(capsys: Any) -> None:
    def make(n: int) -> Rows:
        return (row(number("x", float(n == 4 and k < 5)), nodeid=f"t.py::t[{k}]") for k in range(40))

    out = run(capsys, "compare", *write(20, make, lambda n: {}))[1]
    assert (
        "suspect  m4 may corrupt data silently: this is not established\n"
        "  alone with its values on 5 of 40 tests, every other machine on 0 at most\n"
        "  19 machines with its environment, some of which computed what most did\n"
        "  run the tests again on m4; if it is alone again, test its memory and its cores\n"
    ) in out
    assert "35 of 40 compared tests agree everywhere\n" in out


def marked(value: StoredValue, **plan: Any) -> dict[str, Any]:
    return verdict_to_row("t.py::t", Verdict("reproduced", Plan(**plan), RUNS), [value])


def test_tolerances_of_markers_and_options(capsys: Any) -> None:
    near = Tolerance(0.0, 1.0)
    paths = write(3, lambda n: iter([marked(number("x", float(n)), tolerance=near)]), lambda n: {})
    code, out, _ = run(capsys, "compare", *paths)
    assert code == 1
    assert "splits 2 | 1  in 1 test\n  A          2 machines: m0, m1\n" in out
    assert "compared bit for bit, or as the marker says: 1 differs\n" in out
    code, out, _ = run(capsys, "compare", paths[1], paths[0], paths[2])
    assert code == 0
    assert out.endswith(
        "compared bit for bit, or as the marker says: 1 close\n"
        "closeness is not transitive: a value belongs to the first report that it is close to.\n"
        "The order decides, or a class is wider than the tolerance: t.py::t\n"
    )
    code, out, _ = run(capsys, "compare", *paths, "--rtol=0", "--atol=0.5")
    assert code == 1
    assert "every machine is alone with its value" in out
    assert out.endswith("compared within rtol 0 and atol 0.5: 1 differs\n")


def test_markers_that_differ_are_not_compared(capsys: Any) -> None:
    paths = write(3, lambda n: iter([marked(number("x", 1.0), ranks=n // 2)]), lambda n: {})
    code, out, _ = run(capsys, "compare", *paths)
    assert code == 1
    assert "not compared  t.py::t: the markers differ: bit for bit; bit for bit, ranks 1\n" in out


def test_seeds_and_commits_are_fields(capsys: Any) -> None:
    paths = [
        report(Path(f"m{n}.json"), row(number("x", float(n == 2)), seed=n), seed=n) for n in (1, 1, 2, 2)
    ]
    out = run(capsys, "compare", *paths)[1]
    assert "  same split seed: 1 | 2\n" in out
    assert "x, max abs 1; seed 1 on 2, 2 on 2\n" in out
    assert "copies of one report, counted as 2 machines: m1, m1#2\n" in out


def test_a_bad_report_is_named(capsys: Any) -> None:
    paths = write(3, lambda n: iter([row(number("x", 1.0))]), lambda n: {})
    Path("m1.json").write_text(Path("m1.json").read_text()[:200])
    code, out, err = run(capsys, "compare", *paths)
    assert (code, out) == (2, "")
    assert "m1.json" in err
    assert "is not JSON: Unterminated string" in err
    assert run(capsys, "compare", "m0.json", "m2.json", "none.json")[2].endswith(
        "none.json cannot be read: No such file or directory\n"
    )


def test_thousands_of_splits_stay_readable(capsys: Any) -> None:
    def make(n: int) -> Rows:
        return (row(number("x", float(n == k)), nodeid=f"t.py::t[{k}]\x1b[31m") for k in range(60))

    out = run(capsys, "compare", *write(60, make, lambda n: {"host": f"h{n}"}))[1]
    assert "and 40 other ways in which machines split; see --json" in out
    assert "  host  h0 on 1 (m0)\n" in out
    assert "and 52 other values" in out
    assert "\x1b" not in out
    assert len(out.splitlines()) < 200


def test_a_field_of_many_values_is_cut(capsys: Any) -> None:
    paths = write(9, lambda n: iter([row(number("x", float(n)))]), lambda n: {"host": f"h{n}"})
    assert (
        "  same split host: h0 | h1 | h2 | h3 | h4 | h5 | h6 | h7 | …\n" in run(capsys, "compare", *paths)[1]
    )


def test_classes_have_letters() -> None:
    assert [name_class(n) for n in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]

"""The reports of shards become one report with one verdict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.plan.plan import Plan, Tolerance
from pytest_repro.reports.json.report import ReportHead
from pytest_repro.reports.json.report_head import CI_VARIABLES
from tests.cli.merge.shards import ENVIRONMENT, make_row, read, shard
from tests.cli.reports import number, run
from tests.conftest import Project

TOLERANT = Plan(tolerance=Tolerance(1e-3, 0.0))


def array(name: str, mean: float, kind: str = "float64[100]") -> StoredValue:
    return StoredValue(name, kind, f"{mean!r:>32}", statistics=Statistics(0.0, 1.0, mean, 0.1, 5.0))


def test_all_shards_make_one_report(tmp_path: Path, capsys: Any) -> None:
    shard(tmp_path, 1, make_row("a", number("x", 1.0)), make_row("b", word="skipped"))
    shard(tmp_path, 2, make_row("c", number("x", 2.0)), make_row("d", word="skipped"))
    out = tmp_path / "all.json"
    code, text, _ = run(
        capsys, "merge", f"{tmp_path}/shard-*.json", "--expect-shards=2", "--require=2", f"-o={out}"
    )
    assert code == 0
    assert text == (
        "2 shards, 4 tests, run 9001, commit c0ffee\n"
        f"{' reproducibility '.center(80, '=')}\n"
        "2 compared (2 reproduced), 0 observed nothing, 2 skipped\n"
    )
    report = read(out)
    assert list(report)[:9] == [
        "format", "run_id", "commit", "started", "duration", "environment", "seed", "shards", "summary",
    ]  # fmt: skip
    assert (report["run_id"], report["commit"], report["started"]) == (
        "9001-1",
        "c0ffee",
        "2026-01-31T08:01:00Z",
    )
    assert report["duration"] == 150.0  # from the start of the first to the end of the last
    assert report["environment"] == ENVIRONMENT
    assert report["summary"] == {"reproduced": 2, "skipped": 2}
    assert [each["shard"] for each in report["tests"]] == ["1/2", "1/2", "2/2", "2/2"]
    assert report["shards"][1] == {
        "shard": "2/2", "report": str(tmp_path / "shard-2.json"), "started": "2026-01-31T08:02:00Z",
        "duration": 90.0, "tests": 2,
    }  # fmt: skip
    again = tmp_path / "again.json"
    assert run(capsys, "merge", str(out), f"-o={again}", "--expect-shards=2")[0] == 0
    assert again.read_text() == out.read_text()
    assert run(capsys, "show", str(out))[0] == 0
    assert run(capsys, "compare", str(out), str(again))[0] == 0


def test_a_test_of_two_shards_is_compared(tmp_path: Path, capsys: Any) -> None:
    a = shard(tmp_path, 1, make_row("a", number("x", 1.0), number("y", 5.0)), make_row("b", number("x", 1.0)))
    new = {**ENVIRONMENT, "cpu capability": "AVX512"}
    rows = make_row("a", number("x", 1.5), number("y", 5.0)), make_row("b", number("x", 1.0))
    b = shard(tmp_path, 2, *rows, environment=new)
    out = tmp_path / "all.json"
    code, text, _ = run(capsys, "merge", a, b, "-o", str(out))
    assert code == 1
    for line in (
        "  unlike     cpu capability: AVX2 in shard 1, AVX512 in shard 2",
        "test_a.py::a differs between shards (bit for bit, 2 runs, seed 0)",
        "  x   float64[]   differs in shard 2/2",
        "    1.0 in shard 1/2, 1.5 in shard 2/2",
        "  unlike     cpu capability AVX2 here, AVX512 in shard 2/2",
        "2 compared (1 reproduced, 1 diverged), 0 observed nothing",
        "shared    2 tests of several shards, compared between them",
        "diverged  test_a.py::a  x differs between shards 1/2 and 2/2, max abs 0.5",
    ):
        assert line in text.splitlines(), text
    report = read(out)
    assert report["environment"]["cpu capability"] == "AVX2 | AVX512"
    assert [each["environment"]["cpu capability"] for each in report["shards"]] == ["AVX2", "AVX512"]
    test = report["by_name"]["a"]
    assert (test["verdict"], test["shards"]) == ("diverged", ["1/2", "2/2"])
    assert [(run["axis"], run["value"]) for run in test["runs"]] == [
        ("repeat", 0), ("repeat", 1), ("shard", "2/2"),
    ]  # fmt: skip
    (mismatch,) = test["mismatches"]
    assert mismatch["name"] == "x"
    assert (mismatch["axis"], mismatch["value"], mismatch["at"]) == ("shard", "2/2", {"shard": "1/2"})
    assert (mismatch["first_values"], mismatch["max_abs"]) == (["1.0", "1.5"], 0.5)
    code, shown, _ = run(capsys, "show", str(out))
    assert (code, "    1.0 in shard 1/2, 1.5 in shard 2/2" in shown) == (0, True)


@pytest.mark.parametrize(
    ("words", "merged"),
    [
        (("reproduced", "failed"), "failed"),
        (("diverged", "failed"), "diverged"),
        (("skipped", "reproduced"), "reproduced"),  # a shard that compared it outweighs one without a GPU
        (("skipped", "skipped"), "skipped"),
        (("unobserved", "reproduced"), "unobserved"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_verdict_wins(tmp_path: Path, capsys: Any, words: Any, merged: str, order: int) -> None:
    paths = [
        shard(tmp_path, n, make_row("a", number("x", 1.0), word=word))
        for n, word in enumerate(words[::order], 1)
    ]
    out = tmp_path / "all.json"
    code, text, _ = run(capsys, "merge", *paths, "-o", str(out))
    report = read(out)
    assert (report["summary"], report["by_name"]["a"]["verdict"]) == ({merged: 1}, merged), text
    assert code == (merged not in ("reproduced", "skipped"))
    outcomes = [each for each in report["by_name"]["a"].get("mismatches", ()) if each["problem"] == "outcome"]
    assert bool(outcomes) == ("failed" in words)
    worst = f"{words[::order].index(merged) + 1}/2"
    assert report["by_name"]["a"]["shards"][0] == worst  # the shard whose row it is


@pytest.mark.parametrize(
    ("plan", "a", "b", "verdict", "left_out"),
    [
        (TOLERANT, number("x", 1.0), number("x", 1.0001), "reproduced", []),
        (TOLERANT, number("x", 1.0), number("x", 1.1), "diverged", []),
        (TOLERANT, array("w", 0.5), array("w", 0.7), "diverged", []),
        (TOLERANT, array("w", 0.5), array("w", 0.50001), "reproduced", [
            "w (float64[100]: bits differ, and a report has only statistics, which are close)"
        ]),
        (Plan(), array("w", 0.5), array("w", 0.50001), "diverged", []),
        (Plan(), number("x", 1.0), number("y", 1.0), "diverged", []),
        (Plan(), number("x", 1.0), number("x", 1.0, "float32[]"), "diverged", []),
        (Plan(level="process"), array("w", 0.5), array("w", 0.7), "reproduced", []),
        (Plan(level="outcome"), number("loss[1]", 0.5), number("loss[1]", 0.7), "diverged", []),
    ],
)  # fmt: skip
def test_values_are_compared_as_the_marker_asks(
    tmp_path: Path, capsys: Any, plan: Plan, a: StoredValue, b: StoredValue, verdict: str, left_out: list[str]
) -> None:
    paths = [shard(tmp_path, n, make_row("a", each, plan=plan)) for n, each in ((1, a), (2, b))]
    run(capsys, "merge", *paths, "-o", str(tmp_path / "all.json"))
    test = read(tmp_path / "all.json")["by_name"]["a"]
    assert (test["verdict"], test.get("not_compared", [])) == (verdict, left_out)


def test_only_the_last_steps_count_at_outcome(tmp_path: Path, capsys: Any) -> None:
    def steps(*losses: float) -> dict[str, Any]:
        values = [number(f"loss[{n}]", loss) for n, loss in enumerate(losses)]
        return make_row("a", *values, plan=Plan(level="outcome"))

    a, b = shard(tmp_path, 1, steps(3.0, 2.0, 1.0)), shard(tmp_path, 2, steps(3.5, 2.5, 1.0))
    assert run(capsys, "merge", a, b)[0] == 0
    b = shard(tmp_path, 2, steps(3.0, 2.0, 1.5))
    assert run(capsys, "merge", a, b)[0] == 1


def test_other_seeds_give_other_values(tmp_path: Path, capsys: Any) -> None:
    paths = [shard(tmp_path, n, make_row("a", number("x", n), plan=Plan(seed=n))) for n in (1, 2)]
    code, text, _ = run(capsys, "merge", *paths)
    assert code == 0
    said = "not compared  test_a.py::a  all values (seed 1 in shard 1/2, 2 in 2/2) in shards 1/2, 2/2"
    assert said in text.splitlines()


def test_repeats_of_a_test_are_no_shared_tests(tmp_path: Path, capsys: Any) -> None:
    """A plugin repeats it; each repeat is compared with that of the other shard."""
    first = shard(tmp_path, 1, make_row("a", number("x", 1.0)), make_row("a", number("x", 2.0)), total=1)
    code, text, _ = run(capsys, "merge", first)
    assert (code, "2 compared (2 reproduced)" in text, "shared" in text) == (0, True, False)
    rows = make_row("a", number("x", 1.0)), make_row("a", number("x", 2.0))
    assert run(capsys, "merge", shard(tmp_path, 1, *rows), shard(tmp_path, 2, *rows))[0] == 0


def head(run_id: str = "9001-1", shard: str = "", commit: str = "c0ffee") -> ReportHead:
    return ReportHead(run_id, shard, commit, "2026-01-31T08:00:00Z", 1.0)


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Path.unlink, "unreadable {path} cannot be read: No such file or directory"),
        (lambda path: path.write_text(path.read_text()[:-30]), "unreadable {path} is not JSON: Expecting "
         "property name enclosed in double quotes at line 42 (cut off?)"),
        (lambda path: path.write_text("<a/>"), "unreadable {path} is not a report of pytest-repro: it is "
         "not a JSON object"),
        (lambda path: path.write_text(path.read_text().replace('"repeat"', '"repaet"').replace(
            '"reproduced",', '"failed",')), "unreadable {path}: tests[0].runs[0].axis is of the unknown axis "
         "'repaet'"),
        (lambda path: shard(path.parent, 3, head=head("8000-1", "3/3")), "foreign    {path} is of run 8000, "
         "the others are of run 9001"),
        (lambda path: shard(path.parent, 3, head=head("local-1", "3/3")), "foreign    {path} does not say of "
         "which run it is, the others are of run 9001"),
        (lambda path: shard(path.parent, 3, head=head("9001-1", "3/3", "bad")), "foreign    {path} is of "
         "commit bad, the others are of commit c0ffee"),
        (lambda path: shard(path.parent, 3, head=head("9001-1", "2/3")), "duplicate  {path} is shard 2/3 "
         "again, as {second} is"),
        (lambda path: shard(path.parent, 3, head=head("9001-1", "4/4")), "foreign    {path} is shard 4/4, "
         "and 3 shards are expected"),
        (lambda path: shard(path.parent, 3, head=head()), "foreign    {path} has no number of a shard, as "
         "others do: --repro-shard=I/N gives one"),
        (lambda path: shard(path.parent, 3, head=head(shard="4/3")), "unreadable {path}: shard is '4/3', not "
         "a number of a shard and the number of shards: '3/8'"),
    ],
)  # fmt: skip
def test_a_bad_shard_is_named_and_the_others_are_merged(
    tmp_path: Path, capsys: Any, change: Change, message: str
) -> None:
    paths = [shard(tmp_path, n, make_row(f"t{n}", number("x", n)), total=3) for n in (1, 2, 3)]
    change(Path(paths[2]))
    out = tmp_path / "all.json"
    code, text, _ = run(capsys, "merge", *paths, "-o", str(out))
    lines = text.splitlines()
    assert (code, lines[0]) == (1, "2 of 3 shards, 2 tests, run 9001, commit c0ffee")
    assert lines[-2:] == [message.format(path=paths[2], second=paths[1]), "missing    shard 3 of 3"]
    report = read(out)
    assert list(report["by_name"]) == ["t1", "t2"]
    assert [problem.split(":")[0] for problem in report["problems"]] == [message.split()[0], "missing"]


def test_a_failure_names_its_shard(tmp_path: Path, capsys: Any) -> None:
    paths = [shard(tmp_path, n, make_row(f"t{n}", word="failed" if n == 2 else "unobserved")) for n in (1, 2)]
    code, text, _ = run(capsys, "merge", *paths)
    assert (code, text.splitlines()[-2:]) == (
        1,
        [
            "unobserved  test_a.py::t1  observed nothing  [shard 1/2]",
            "failed    test_a.py::t2  ValueError: boom  [shard 2/2]",
        ],
    )


def test_a_field_of_many_values_is_shortened(tmp_path: Path, capsys: Any) -> None:
    paths = [shard(tmp_path, n, total=30, environment={"host": f"h{n}"}) for n in range(1, 31)]
    code, text, _ = run(capsys, "merge", *paths)
    assert code == 0
    line = text.splitlines()[1]
    assert line.startswith("  unlike     host: h1 in shard 1, h2 in shard 2, ")
    assert "22 more" in line


def test_missing_shards_are_listed(tmp_path: Path, capsys: Any) -> None:
    numbers = [1, 2, 5, 9, 10]
    paths = [shard(tmp_path, n, make_row(f"t{n}", number("x", n)), total=10) for n in numbers]
    code, text, _ = run(capsys, "merge", *paths, "--expect-shards=10", "--require=6")
    assert (code, text.splitlines()[-2:]) == (
        1,
        [
            "missing    shards 3, 4, 6 to 8 of 10",
            "too few   5 tests were compared, --require=6 requires at least 6: the merge fails",
        ],
    )
    assert (
        "is shard 1/10, and 20 shards are expected" in run(capsys, "merge", paths[0], "--expect-shards=20")[2]
    )
    plain = [shard(tmp_path, n, make_row(f"t{n}"), name=f"{n}.json", head=head(f"local-{n}")) for n in (1, 2)]
    assert run(capsys, "merge", *plain)[0] == 0
    code, text, _ = run(capsys, "merge", *plain, plain[0])
    assert (code, text.splitlines()[-1]) == (
        1, f"duplicate  {plain[0]} is of the same session again, as {plain[0]} is",
    )  # fmt: skip
    code, text, _ = run(capsys, "merge", *plain, "--expect-shards=3")
    assert (code, text.splitlines()[-1]) == (1, "missing    3 shards are expected, and there are 2")


def test_a_later_attempt_of_some_shards_belongs_to_the_run(tmp_path: Path, capsys: Any) -> None:
    """GitHub runs failed jobs again, and keeps the reports of the others."""
    a = shard(tmp_path, 1, make_row("a", number("x", 1.0)))
    b = shard(tmp_path, 2, make_row("b", number("x", 1.0)), head=head("9001-2", "2/2"))
    assert run(capsys, "merge", a, b, "-o", str(tmp_path / "all.json"))[0] == 0
    report = read(tmp_path / "all.json")
    assert report["run_id"] == "9001-2"
    assert [each.get("run_id") for each in report["shards"]] == ["9001-1", None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.json"], "no report can be merged: none.json cannot be read: No such file or directory"),
        (["shard-1.json", "-o", "shard-1.json"], "shard-1.json would be read and written: give the merged "
         "report another name or folder"),
        (["shard-1.json", "-o", "x", "--html", "x"], "two files would be written to one path"),
        (["shard-1.json", "-o", "shard-1.json/x"], "shard-1.json/x cannot be written: File exists"),
        (["shard-1.json", "--require=-1"], "argument --require: '-1' is not a number up to 999999"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shard(tmp_path, 1, make_row("a", number("x", 1.0)), total=1)
    code, _, err = run(capsys, "merge", *arguments)
    assert (code, err.splitlines()[-1].partition(": ")[2].replace("error: ", "")) == (2, message)


SHARED = """
import os, pytest

def test_reseeds(repro):
    import random
    repro.record(x=random.random() if os.environ["PART"] == "1" else 0.5)

def test_same(repro):
    repro.record(y=[1, 2])

@pytest.mark.xfail
def test_expected(repro):
    repro.record(x=1)
    assert False
"""


def test_shards_of_real_sessions(project: Project, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions outside of CI, whose run ids are random."""
    for name in CI_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for part in ("1", "2"):
        monkeypatch.setenv("PART", part)
        project(SHARED, f"--repro-shard={part}/2", f"--repro-json={part}.json")
    root = project.pytester.path
    capsys.readouterr()
    code, text, _ = run(
        capsys, "merge", str(root / "1.json"), str(root / "2.json"), f"-o={root / 'all.json'}"
    )
    lines = text.splitlines()
    assert (code, lines[0]) == (1, "2 shards, 3 tests")
    assert lines[-1].startswith(
        "diverged  test_it.py::test_reseeds  x differs between shards 1/2 and 2/2, max abs"
    )
    assert "2 compared (1 reproduced, 1 diverged), 0 observed nothing, 1 xfailed" in lines
    assert "run_id" not in json.loads((root / "all.json").read_text())


def test_what_failed_a_test_that_reproduced_fails_the_merge(project: Project, capsys: Any) -> None:
    source = """
        import numpy as np, pytest

        @pytest.mark.reproducible(unseeded="fail")
        def test_unseeded(repro):
            repro.record(x=np.random.rand())

        @pytest.fixture
        def broken():
            yield
            raise OSError("no space")

        def test_teardown(repro, broken):
            repro.record(x=1)

        @pytest.mark.reproducible(seeds=4)
        def test_sweep(repro):
            assert repro.seed < 2
            repro.record(x=1)
    """
    project(source)
    code, text, _ = run(capsys, "merge", str(project.pytester.path / "report.json"))
    assert code == 1
    assert [line for line in text.splitlines() if line.startswith("failed")] == [
        "failed    test_it.py::test_unseeded  UnseededDraws: numpy at test_it.py:5",
        "failed    test_it.py::test_teardown  OSError: no space",
        "failed    test_it.py::test_sweep  SeedDependent: 2 of 4 seeds failed: 2, 3",
    ]


def test_a_shard_that_did_not_import_a_library_is_not_unlike(tmp_path: Path, capsys: Any) -> None:
    a = shard(tmp_path, 1, make_row("a", number("x", 1.0)), environment={**ENVIRONMENT, "torch": "2.14.0"})
    b = shard(tmp_path, 2, make_row("b", number("x", 1.0)), environment=ENVIRONMENT)
    out = tmp_path / "all.json"
    code, text, _ = run(capsys, "merge", a, b, "-o", str(out))
    assert (code, "unlike" in text) == (0, False)
    assert read(out)["environment"]["torch"] == "2.14.0"
    assert [each.get("environment", {}).get("torch") for each in read(out)["shards"]] == [None, None]


def test_a_test_that_differs_within_one_of_its_shards_names_that_shard(tmp_path: Path, capsys: Any) -> None:
    within = make_row("within", number("x", 1.0), word="diverged")
    a = shard(tmp_path, 1, make_row("within", number("x", 1.0)), make_row("both", number("x", 1.0)), total=2)
    b = shard(tmp_path, 2, within, make_row("both", number("x", 2.0)), total=2)
    code, text, _ = run(capsys, "merge", a, b)
    assert code == 1
    between, _, alone = text.partition(" NOT REPRODUCIBLE IN ONE SHARD ")
    assert " DIFFERENT IN SHARDS " in between
    assert "test_a.py::both differs between shards" in between
    assert " within  [shard 2/2] " in alone
    assert "test_a.py::within is not reproducible" in alone.partition(" reproducibility ")[0]
    lines = [line for line in text.splitlines() if line.startswith("diverged")]
    assert [line.endswith("[shard 2/2]") for line in lines] == [True, False]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"duration": -60.0}, "ends 60 s before it starts"),
        ({"started": "yesterday"}, "started 'yesterday', which is not a time"),
        ({"started": "2999-01-01T00:00:00Z"}, "s in the future"),
    ],
)
def test_times_of_a_wrong_clock_do_not_count(
    tmp_path: Path, capsys: Any, change: dict[str, Any], wrong: str
) -> None:
    paths = [shard(tmp_path, n, make_row(f"t{n}", number("x", 1.0)), total=3) for n in (1, 2, 3)]
    Path(paths[2]).write_text(json.dumps(read(Path(paths[2])) | change))
    out = tmp_path / "all.json"
    code, text, _ = run(capsys, "merge", *paths, "-o", str(out), f"--ctrf={tmp_path}/ctrf.json")
    assert code == 0
    (line,) = [line for line in text.splitlines() if line.startswith("clock")]
    assert line.startswith(f"clock      {paths[2]} ")
    assert line.endswith(f"{wrong}: its times do not count")
    merged = read(out)
    assert (merged["started"], merged["duration"], len(merged["tests"])) == ("2026-01-31T08:01:00Z", 150.0, 3)

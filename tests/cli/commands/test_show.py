from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.core.checked_json import JsonNode
from pytest_repro.core.compare.mismatch import Difference, Mismatch
from pytest_repro.core.compare.verdict import BASELINE, Baseline, Verdict
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import AxisValues, Plan, Tolerance
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.core.trace.trace import Op
from pytest_repro.reports.failure.text import format_failure, format_headline, format_lost_runs
from pytest_repro.reports.json.rows import verdict_from_row, verdict_to_row
from tests.cli.reports import RUNS, report, row, run
from tests.conftest import Project

HERE = {"numpy": "2.4.6"}
FAR = Difference(3, 9, 2, 0.5, 0.25, 2**70, (1, 2), ("1.0", "nan"), 1)
LOSS = Mismatch(
    "loss[3]", "loss", 3, "", "repeat", 1, "values", "float32[]", "float32[]", Difference(1, 1, 1)
)
PART = Mismatch("m.w", "m", 0, ".w", "threads", 2, "values", "float32[3, 3]", "float32[3, 3]", FAR)
AGAIN = replace(PART, axis="repeat", value=1, repeat_of=("threads", 2))
KIND = Mismatch("k", "k", 0, "", "repeat", 1, "kind", "int", "str")
THERE = Mismatch(
    "a", "a", 0, "", "repeat", 1, "missing", "int", "int", detail="recorded in the other run only"
)
GONE = Mismatch("b", "b", 0, "", "repeat", 1, "missing", "int", "", detail="not recorded in the other run")
DIGEST = Mismatch("d", "d", 0, "", "repeat", 1, "values", "str", "str", detail="the values were not kept")
OUTCOME = Mismatch("outcome", "outcome", 0, "", "repeat", 1, "outcome", detail="passed, then failed (E: x)")
BROKEN = (RUNS[0], replace(RUNS[1], outcome="failed", error="E: x", traceback="test_a.py:3\nE: x"))
VARIED = Plan(3, 7, Tolerance(1e-5, 1e-8), True, "locals", True, (AxisValues("threads", (1, 2), close=True),))
ELSEWHERE = (
    Run("repeat", 0, "passed", 0.5, 2, setting={"threads": 1}),
    Run("threads", 2, "passed", 0.5, 2, setting={"threads": 2}, drew_on_axis=True),
    Run(
        "repeat", 1, "passed", 0.5, 2, setting={"threads": 2}, repeat_of=("threads", 2), past_log=("no more",)
    ),
    Run("machine", "ssh=x", "passed", 0.5, 2, environment_diff={"numpy": ("2.4.6", "1.26.0")}),
    Run("device", "cuda", "skipped", error="torch finds no cuda device", state="absent"),
    Run("process", 1, "failed", error="the companion\ndied", state="lost"),
)
OPS = tuple(Op(f"aten.op{n}.default") for n in range(7))
PARTED = Divergence("path", "aten.op3.default", 3, "a.py:1", "b.py:2", "o", "c.py:3", False, "", 0, OPS, OPS)
SHORT = replace(
    PARTED,
    kind="length",
    other_op="",
    other_location="",
    ended_trace="second",
    other_context=OPS[:3],
    context_start=0,
)
DRAWN = Divergence("input", "record x", 0, "", "", "record x", "", True, "", 0, OPS[:1], OPS[:1])
CAUSE = Finding("os-entropy", "a.py:3", "default_rng() draws", "pass a seed", ("clock", "hash-seed"))
CAUSES = CAUSE, Finding("unknown")
PROCESS = Mismatch("x", "x", 0, "", "machine", "ssh=x", "values", "int", "int", detail="digests only")

STORED = Baseline("__repro__/a.json", "0" * 16, "0" * 16)
FOREIGN = replace(
    STORED, stored_key="f" * 16, environment_diff={"numpy": ("2.4.6", "1.0")}, options=" --repro-seed=3"
)
GOLDEN = replace(LOSS, axis=BASELINE, value="0" * 16)

VERDICTS = [
    Verdict("diverged", Plan(), RUNS, (GOLDEN,), {"loss": 9}, baseline=STORED),
    Verdict("diverged", VARIED, RUNS, (GOLDEN,), {"loss": 9}, baseline=FOREIGN),
    Verdict("no-baseline", Plan(), RUNS, baseline=replace(STORED, stored_key="", options=" --repro-seed=3")),
    Verdict("no-baseline", Plan(), RUNS, baseline=replace(STORED, read_error="is empty")),
    Verdict("reproduced", Plan(), RUNS, baseline=FOREIGN),
    Verdict("foreign-baseline", Plan(), RUNS, baseline=replace(FOREIGN, differing=("x", "y"))),
    Verdict("foreign-baseline", VARIED, RUNS, baseline=replace(FOREIGN, uncompared=("x",))),
    Verdict(
        "diverged",
        Plan(),
        RUNS,
        (LOSS, KIND, THERE, GONE, DIGEST),
        {"loss": 9, "k": 1},
        (),
        DRAWN,
        CAUSES,
    ),
    Verdict("diverged", Plan(), BROKEN, (OUTCOME,), {"x": 1}),
    Verdict(
        "diverged",
        VARIED,
        ELSEWHERE,
        (PART, AGAIN, PROCESS),
        {"m": 1, "x": 1},
        (),
        PARTED,
        (Finding("unknown"),),
    ),
    Verdict("diverged", VARIED, ELSEWHERE, (PART,), {"m": 1}, (), SHORT),
    Verdict("unobserved", Plan(capture="recorded"), RUNS, uncounted=("x (a list)",)),
    Verdict("unobserved", Plan(capture="strict"), RUNS, not_compared={"loss (float)": ""}),
    Verdict("unobserved", Plan(), RUNS),
    Verdict("failed", Plan(), ELSEWHERE[:1] + ELSEWHERE[5:]),
]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_row_gives_its_texts_again(verdict: Verdict) -> None:
    text = json.dumps(verdict_to_row("a.py::test_b", verdict), allow_nan=False)
    found = verdict_from_row(JsonNode(json.loads(text), "row"), HERE, 0)
    assert format_failure("a.py::test_b", found) == format_failure("a.py::test_b", verdict)
    assert format_headline(found) == format_headline(verdict)
    assert format_lost_runs("a.py::test_b", found) == format_lost_runs("a.py::test_b", verdict)
    assert found.seconds == pytest.approx(verdict.seconds)


def test_a_session_is_shown_as_the_terminal_told_it(project: Project, capsys: Any) -> None:
    pytest.importorskip("torch")  # of the axis threads
    result = project(
        """
        import itertools, pytest, numpy as np
        counter = itertools.count()

        class TestIn:
            def test_series(self, repro):
                for step in range(5): repro.record(loss=step if step < 3 else next(counter))

        @pytest.mark.reproducible(threads=(1, 2), rtol=1e-5, atol=0.5)
        def test_axis(repro):
            repro.record(x=np.arange(repro.setting["threads"]))
        def test_outcome(repro): assert repro.run == 0, "boom"
        def test_nothing(repro): pass
        def test_same(repro): repro.record(x=1)
        @pytest.mark.reproducible(device=("cpu", "cuda:99"))
        def test_no_device(repro): repro.record(x=1)
        @pytest.mark.xfail
        def test_expected(repro): repro.record(x=next(counter))
        @pytest.mark.reproducible
        def test_broken(): raise ValueError("as always")
        """,
        "--repro-diagnose=never",
    )
    capsys.readouterr()
    code, out, err = run(capsys, "show", "report.json")
    assert (code, err) == (0, "")
    shown = [line for line in out.splitlines()[1:] if line.strip()]
    assert shown.pop() == "failed  test_it.py::test_broken  failed (ValueError: as always)"
    told = iter(result.text.splitlines())
    assert [line for line in shown if line not in told] == []
    for name in ("test_series", "test_axis", "test_outcome", "test_nothing"):
        assert any(line.startswith("____") and name in line for line in shown)
    assert not any("test_expected" in line for line in shown)


def test_a_report_of_nothing(tmp_path: Path, capsys: Any) -> None:
    path = report(tmp_path / "a.json")
    code, out, _ = run(capsys, "show", path)
    assert code == 0
    assert out.splitlines()[1:] == [
        " reproducibility ".center(80, "="),
        "0 compared, 0 observed nothing",
    ]


def test_a_report_of_version_0_1_0(tmp_path: Path, capsys: Any) -> None:
    old = row()
    del old["plan"]
    assert run(capsys, "show", report(tmp_path / "a.json", old))[0] == 0

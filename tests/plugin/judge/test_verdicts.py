"""Each verdict word, seen from outside."""

from __future__ import annotations

import pytest

from tests.conftest import Project

COUNTER = "import itertools\nfrom collections import defaultdict\nruns = defaultdict(itertools.count)\n"


def test_equal_values_reproduce(project: Project) -> None:
    result = project(
        """
        import random, numpy as np
        def test_a(repro):
            repro.record("x", random.random())
            repro.record(y=np.random.rand(1000))
        """
    ).check(passed=1, says="1 reproduced")
    assert result.report["summary"] == {"reproduced": 1}
    (test,) = result.report["tests"]
    assert [(run["axis"], run["value"], run["outcome"], run["observations"]) for run in test["runs"]] == [
        ("repeat", 0, "passed", 2),
        ("repeat", 1, "passed", 2),
    ]


def test_entropy_diverges(project: Project) -> None:
    result = project(
        """
        import numpy as np
        def test_a(repro):
            for step in range(4):
                repro.record("loss", np.float32(step if step < 2 else np.random.default_rng().random()))
        """
    ).check(failed=1, says=["not reproducible", "first differing step of loss: 2 (0 to 3)"])
    mismatch = result.report["tests"][0]["mismatches"][0]
    assert mismatch["name"] == "loss[2]"
    assert (mismatch["kind"], mismatch["problem"], mismatch["axis"], mismatch["value"]) == (
        "float32[]",
        "values",
        "repeat",
        1,
    )
    assert (mismatch["differing"], mismatch["total"], mismatch["first_index"]) == (1, 1, [])


def test_equal_values_in_another_container_diverge(project: Project) -> None:
    source = """
    import os, pytest, numpy as np
    @pytest.mark.reproducible(process=True)
    def test_recorded(repro):
        pair = (1, 2) if os.environ.get("PYTHONHASHSEED") == "1" else [1, 2]
        repro.record(out={"a": 0, "pair": pair})
    turns = iter([[np.ones(2)], (np.ones(2),)])
    @pytest.mark.reproducible
    def test_local():
        rows = next(turns)
    """
    result = project(source, "--repro-diagnose=never").check(failed=2, says=[
        "  out['pair']   list   differs in process 1\n    list in run 1, tuple in process 1\n",
        "  locals.rows   list   run 2 differs from run 1\n    list in run 1, tuple in run 2\n",
    ])  # fmt: skip
    (mismatch,) = result.report["tests"][0]["mismatches"]
    assert (mismatch["name"], mismatch["problem"]) == ("out['pair']", "kind")
    assert (mismatch["kind"], mismatch["other_kind"]) == ("list", "tuple")
    assert [run["observations"] for run in result.report["tests"][0]["runs"][:2]] == [3, 3]


def test_observing_nothing_fails(project: Project) -> None:
    project(
        """
        import pytest
        @pytest.mark.reproducible
        def test_a(): pass
        """
    ).check(failed=1, says="observed nothing")


def test_the_replay_line_is_for_where_pytest_was_started(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.ini("[tool.pytest.ini_options]")
    folder = project.pytester.mkdir("sub")
    (folder / "test_it.py").write_text(
        "import os, pytest\n@pytest.mark.parametrize('x', ['$HOME'])\n"
        "def test_a(repro, x): repro.record(x=os.urandom(4))\n"
    )
    monkeypatch.chdir(folder)
    result = project.again().check(
        failed=1, says="pytest 'test_it.py::test_a[$HOME]' --repro-seed=0 --repro-runs=2"
    )
    assert result.run.ret == 1

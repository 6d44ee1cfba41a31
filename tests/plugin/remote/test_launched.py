"""Tests under torchrun: its processes run them in lockstep, rank 0 reports, and none waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

pytest.importorskip("torch.distributed.run")

HEAD = """
import os, time
import numpy as np, pytest, torch
import torch.distributed as dist
pytestmark = pytest.mark.reproducible

@pytest.fixture(scope="session")
def shared():
    dist.init_process_group("gloo")
    yield
    dist.destroy_process_group()

@pytest.fixture
def own():
    dist.init_process_group("gloo")
    yield
    if dist.is_initialized(): dist.destroy_process_group()
"""


class Session:
    """A session of pytest in two processes of torchrun: what each rank prints, and the report."""

    def __init__(self, folder: Path, source: str, *args: str) -> None:
        self.folder = folder
        (folder / "test_it.py").write_text(HEAD + dedent(source))
        (folder / "pytest.ini").write_text("[pytest]\nrepro_companion_timeout = 240\n")
        launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        logs = ["--local-addr=127.0.0.1", "--log-dir=logs", "--redirects=3"]
        loaded = ["-p", "no:cacheprovider", "-p", "repro", "-p", "repro_marker", "--repro-json=report.json"]
        kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        self.status = subprocess.run(
            [sys.executable, "-m", *launcher, *logs, "-m", "pytest", *loaded, *args],
            cwd=folder, env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, capture_output=True, text=True,
            timeout=500, check=False,
        ).returncode  # fmt: skip

    def text(self, rank: int) -> str:
        """What *rank* printed."""
        (log,) = self.folder.glob(f"logs/*/attempt_0/{rank}/stdout.log")
        return log.read_text() + log.with_name("stderr.log").read_text()

    @property
    def rows(self) -> Mapping[str, Any]:
        """The rows of the report by name of the test."""
        rows = json.loads((self.folder / "report.json").read_text())["tests"]
        return {row["nodeid"].split("::", 1)[1]: row for row in rows}

    def section(self, rank: int, name: str) -> str:
        """The report of a failed test in *rank*."""
        found = self.text(rank).partition(f" {name} _")[2]
        return found.partition("\n______")[0].partition("\n======")[0]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session in which the ranks stay together to its end."""
    source = """
    @pytest.mark.reproducible(runs=3, seed=7, ranks=2, baseline=True)
    def test_same(repro, shared):
        assert (repro.rank, repro.world_size) == (dist.get_rank(), dist.get_world_size())
        x = torch.randn(1000, generator=repro.generator()) * (repro.rank + 1)
        dist.all_reduce(x)
        for step in range(3): repro.record(loss=x[step] + repro.rank)
        repro.record(total=x, seed=repro.seed)

    def test_drawn(repro, shared):
        x = torch.zeros(1000)
        if repro.rank == 1: x += torch.from_numpy(np.random.default_rng().normal(size=1000)).float()
        dist.all_reduce(x.clone())
        repro.record(x=x)

    @pytest.fixture
    def bad(shared):
        if dist.get_rank() == 1: raise KeyError("x")
    def test_fixture(bad): dist.all_reduce(torch.zeros(1))

    def test_fails(shared):
        dist.barrier()
        if dist.get_rank() == 1: raise ValueError("boom")

    def test_once(repro, shared):
        dist.barrier()
        if repro.run == 1 and repro.rank == 1: raise ValueError("late")

    def test_skip_of_one(repro):
        if repro.rank == 1: pytest.skip("not here")

    @pytest.mark.skipif("os.environ['RANK'] == '1'", reason="marked")
    def test_mark_of_one(shared): dist.barrier()

    @pytest.mark.reproducible(dtype=("float32", "float64"))
    def test_axes(repro, shared):
        dist.barrier()
        repro.record(x=torch.full((3,), 0.1).double() * (1 + repro.rank), run=0 * repro.run)

    @pytest.mark.reproducible(process=True)
    def test_process(repro): repro.record(x=1)

    def test_imports(repro, shared):
        if repro.rank == 1: import scipy
        dist.barrier()
        repro.record(x=torch.rand(3))

    def test_plain_after(shared): x = torch.ones(2); dist.all_reduce(x)
    """
    options = ["--repro-update", "--repro-html=page.html", "--repro-require=3", "--repro-cost"]
    return Session(tmp_path_factory.mktemp("launched"), source, *options)


def test_one_report_holds_the_values_of_all_ranks(session: Session) -> None:
    row = session.rows["test_same"]
    assert (row["plan"]["ranks"], row["plan"]["seed"], len(row["runs"])) == (2, 7, 3)
    names = [each["name"] for each in row["observations"]]
    assert names[:2] == ["rank0.loss[0]", "rank0.loss[1]"]
    assert names[5:7] == ["rank1.loss[0]", "rank1.loss[1]"]
    assert row["runs"][0]["observations"] == 10
    verdicts = {name: each["verdict"] for name, each in session.rows.items()}
    assert verdicts == {
        "test_same": "reproduced", "test_drawn": "diverged", "test_fixture": "failed", "test_fails": "failed",
        "test_once": "diverged", "test_skip_of_one": "skipped", "test_mark_of_one": "skipped",
        "test_axes": "reproduced", "test_process": "skipped", "test_imports": "reproduced",
        "test_plain_after": "reproduced",
    }  # fmt: skip
    assert "rank1.total" in (session.folder / "__repro__" / "test_it.json").read_text()
    assert "rank1.x" in (session.folder / "page.html").read_text()


def test_a_difference_in_one_rank_fails_all(session: Session) -> None:
    assert session.status == 1
    (mismatch,) = session.rows["test_drawn"]["mismatches"]
    assert (mismatch["name"], mismatch["total"]) == ("rank1.x", 1000)
    assert mismatch["max_abs"] > 0
    assert "test_drawn is not reproducible (bit for bit, 2 runs in 2 ranks, seed 0)" in session.section(
        0, "test_drawn"
    )
    replay = "replay     torchrun --nproc-per-node=2 -m pytest test_it.py::test_drawn --repro-seed=0"
    assert replay in session.section(0, "test_drawn")
    assert session.section(1, "test_drawn").splitlines()[1] == "not reproducible: rank1.x (rank 0 reports it)"


def test_an_error_in_one_rank_fails_all(session: Session) -> None:
    assert session.section(0, "test_fails").lstrip("_\n").startswith("rank 1: ValueError: boom")
    assert "raise ValueError" in session.section(1, "test_fails")
    assert session.section(0, "test_fixture").lstrip("_\n").startswith("rank 1: in setup: KeyError: 'x'")
    assert "run 1 passed, run 2 failed (rank 1: ValueError: late)" in session.section(0, "test_once")


def test_only_rank_0_reports(session: Session) -> None:
    assert "2 ranks, no diagnosis" in session.text(0)
    assert "needs another interpreter, which is not started under torchrun (1 test)" in session.text(0)
    assert "--repro-cost: not for tests in ranks" in session.text(0)
    for word in ("pytest-repro", "= reproducibility =", "--repro-require", "golden"):
        assert word not in session.text(1)


def test_a_rank_that_failed_leaves_the_group_for_the_others(tmp_path: Path) -> None:
    source = """
    def test_groups_of_runs(repro, own):
        x = torch.ones(2) * (1 + repro.rank)
        dist.all_reduce(x)
        repro.record(x=x)

    def test_frees(own):
        if dist.get_rank() == 1: raise ValueError("early")
        dist.all_reduce(torch.zeros(1))

    def test_raises(shared):
        if dist.get_rank() == 1: raise ValueError("boom")
        dist.all_reduce(torch.zeros(1))

    def test_never(): open("ran", "w").close()
    """
    session = Session(tmp_path, source)
    rows = session.rows
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "test_groups_of_runs": "reproduced", "test_frees": "failed", "test_raises": "failed",
    }  # fmt: skip
    section = session.section(0, "test_raises")
    assert "test_raises: rank 1: ValueError: boom" in section
    assert (
        "rank 1 then left the process group, so that no other rank waits for it: the session ends" in section
    )
    assert not (tmp_path / "ran").exists()


def test_a_rank_that_dies_fails_its_test(tmp_path: Path) -> None:
    source = """
    def test_dies(repro, own):
        if repro.run == 1 and repro.rank == 1: os._exit(3)
        dist.all_reduce(torch.zeros(1))
        repro.record(x=1)
    """
    session = Session(tmp_path, source)
    assert "test_dies: rank 1 of 2 ended in test_it.py::test_dies" in session.section(0, "test_dies")
    assert session.rows["test_dies"]["verdict"] == "failed"


@pytest.mark.parametrize(
    ("source", "args", "says"),
    [
        ("if os.environ['RANK'] == '0':\n    def test_a(): pass\ndef test_b(): pass", [],
         "torchrun: rank 1 collected test_it.py::test_b, rank 0 test_it.py::test_a: all ranks run the same "),
        ("@pytest.mark.reproducible(ranks=3)\ndef test_a(): pass", [],
         "test_it.py::test_a: ranks=3: torchrun has started 2"),
        ("def test_a(): pass", ["--repro-vary=ranks=1,2"],
         "test_it.py::test_a: ranks=(1, 2): torchrun has started 2"),
        ("def test_a(): pass", ["--repro-seed=random"],
         "--repro-seed=random: not under torchrun, where each rank would draw its own: give a number"),
    ],
)  # fmt: skip
def test_what_cannot_run_together_is_refused(tmp_path: Path, source: str, args: list[str], says: str) -> None:
    session = Session(tmp_path, source, *args)
    assert all(f"ERROR: {says}" in session.text(rank) for rank in (0, 1)), session.text(0)

"""Tests that run in ranks: what is compared and reported, and that no rank is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs
from tests.plugin.remote.test_axis_companions import alive, unix

pytest.importorskip("torch.distributed")

LOADED = ["-p", "no:cacheprovider", "-p", "repro", "-p", "repro_marker", "--repro-diagnose=never"]

HEAD = """
import os, signal, time
import numpy as np, pytest, torch
import torch.distributed as dist
with open("noted", "a") as file:
    print(os.getpid(), os.environ.get("RANK", ""), file=file)
pytestmark = pytest.mark.reproducible(ranks=2)
"""


class Session:
    """A session of pytest in its own folder, where its processes log their ids."""

    def __init__(self, folder: Path, source: str, *args: str) -> None:
        self.folder, self._args = folder, args
        (folder / "test_it.py").write_text(HEAD + dedent(source))
        (folder / "pytest.ini").write_text("[pytest]\nrepro_companion_timeout = 240\n")

    def begin(self) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", *LOADED, "--repro-json=report.json", *self._args],
            cwd=self.folder, env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self) -> Session:
        with self.begin() as process:
            self.text = process.communicate(timeout=500)[0]
        assert (self.folder / "report.json").exists(), self.text
        rows = json.loads((self.folder / "report.json").read_text())["tests"]
        self.rows: Mapping[str, Any] = {row["nodeid"].split("::", 1)[1]: row for row in rows}
        return self

    @property
    def ranks(self) -> list[tuple[int, str]]:
        """Process id and number of each rank that collected the tests."""
        with suppress(FileNotFoundError):
            lines = (self.folder / "noted").read_text().splitlines()
            return [(int(pid), rank) for pid, rank in (line.split(" ") for line in lines) if rank]
        return []

    def section(self, name: str) -> str:
        """The report of a failed test."""
        return self.text.partition(f" {name} _")[2].partition("\n______")[0].partition("\n======")[0]


def gone(pid: int, seconds: float = 120) -> bool:
    """Whether process *pid* ends within *seconds*."""
    end = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A session in which no rank dies: the same two ranks run all tests."""
    source = """
    @pytest.fixture(scope="module")
    def wide(): return torch.rand(2)

    @pytest.fixture
    def part(wide, tmp_path):
        (tmp_path / "own").write_text("of this rank alone")
        return wide * (dist.get_rank() + 1)

    def test_same(repro):
        assert (repro.rank, repro.world_size) == (dist.get_rank(), dist.get_world_size())
        x = torch.randn(1000, generator=repro.generator()) * (repro.rank + 1)
        dist.all_reduce(x)
        for step in range(3): repro.record(loss=x[step] + repro.rank)
        repro.record(total=x)

    @pytest.mark.parametrize("n", [1, 2])
    class TestParts:
        @pytest.mark.reproducible(runs=3, seed=7)
        def test_part(self, part, n, repro):
            repro.record(part=part * n, seed=repro.seed, drawn=torch.rand(2))

    def test_drawn(repro):
        x = torch.zeros(1000)
        if repro.rank == 1:
            x += torch.from_numpy(np.random.default_rng().normal(size=1000)).float()
        repro.record(x=x)

    @pytest.mark.reproducible(rtol=0.5, atol=10.0)
    def test_close(repro):
        repro.record(x=torch.ones(3) + np.random.default_rng().random())

    def test_step(repro):
        for step in range(3):
            repro.record(loss=step + (repro.run == 1 and repro.rank == 0 and step == 2))

    def test_raises():
        print("said by", dist.get_rank())
        if dist.get_rank() == 1: raise ValueError("boom")
        dist.all_reduce(torch.zeros(1))

    def test_once(repro):
        if repro.run == 1 and repro.rank == 0: raise ValueError("late")
        dist.barrier()

    @pytest.fixture
    def bad(): raise KeyError("x")
    def test_fixture(bad): pass

    @pytest.fixture
    def untidy(repro):
        yield
        if repro.rank == 1: raise OSError("left")
    def test_teardown(repro, untidy): repro.record(x=1)

    @pytest.mark.xfail(strict=True)
    def test_expected(): assert dist.get_world_size() == 1

    @pytest.mark.xfail(raises=ValueError, reason="known")
    def test_expected_error():
        if dist.get_rank(): raise ValueError("a")
    @pytest.mark.xfail(raises=ValueError)
    def test_another_error():
        raise ValueError("a") if dist.get_rank() else KeyError("b")
    def test_calls_xfail(repro):
        if repro.rank: pytest.xfail("not here")
    def test_skip(): pytest.skip("not today")
    def test_nothing(): pass

    def test_skip_of_one(repro):
        if repro.rank == 1: pytest.skip("only one")

    def test_skip_of_one_hides_none(repro):
        if repro.rank == 0: pytest.skip("nothing to do")
        repro.record(x=np.random.default_rng().random())

    def test_leaves(repro):
        if repro.rank == 0: dist.all_reduce(torch.zeros(1))

    def test_sub(repro, subtests):
        repro.record(x=1)
        for n in range(2):
            with subtests.test("half", n=n): assert repro.rank == 0 or n == 0, "not the first"

    def test_heard(repro, record_property):
        import warnings, pytest_repro
        for said in ("each run of each", f"of {repro.rank}"): warnings.warn(f"said in {said} rank")
        record_property("world", repro.world_size)
        record_property("rank", repro.rank)
        record_property("device", torch.device("cpu"))
        with pytest_repro.assert_no_draws(): pass

    def test_tokens(repro):
        other = repro.run and repro.rank
        repro.record_tokens([5, other], torch.eye(2, 8) * 3, temperature=0.5)

    @pytest.mark.reproducible(dtype=("float32", "float64"))
    def test_axes(repro):
        repro.record(x=torch.full((3,), 0.1).double() * (1 + repro.rank))

    @pytest.mark.reproducible(device=("cpu", "cuda"))
    def test_device(repro):
        repro.record(x=torch.ones(3, device=repro.device))

    def test_left_group(): 
        x = torch.ones(2)
        dist.destroy_process_group()

    def test_alone_again():
        x = torch.ones(2)
        dist.all_reduce(x)
        assert x[0] == 2
    """
    asked = ["-rsx", "--junitxml=junit.xml", "-o", "repro_control=true"]
    return Session(tmp_path_factory.mktemp("healthy"), source, *asked).run()


def test_recorded_values_are_named_by_rank_and_compared(healthy: Session) -> None:
    row = healthy.rows["test_same"]
    assert row["verdict"] == "reproduced"
    assert row["plan"]["ranks"] == 2
    assert [row["runs"][0][key] for key in ("axis", "value", "observations")] == ["repeat", 0, 8]
    names = [each["name"] for each in row["observations"]]
    assert names[:4] == ["rank0.loss[0]", "rank0.loss[1]", "rank0.loss[2]", "rank0.total"]
    assert names[4] == "rank1.loss[0]"


def test_ranks_serve_all_tests(healthy: Session) -> None:
    assert sorted(rank for _, rank in healthy.ranks) == ["0", "1"]
    for name in ("test_left_group", "test_alone_again"):
        assert healthy.rows[name]["verdict"] == "reproduced"


def test_ranks_use_fixtures_parameters_classes_runs_and_seed_of_the_test(healthy: Session) -> None:
    for n in (1, 2):
        row, section = (
            healthy.rows[f"TestParts::test_part[{n}]"],
            healthy.section(f"TestParts.test_part[{n}]"),
        )
        assert (row["verdict"], len(row["runs"]), row["plan"]["seed"]) == ("reproduced", 3, 7), section


def test_a_difference_names_the_rank_and_the_distance(healthy: Session) -> None:
    mismatch = healthy.rows["test_drawn"]["mismatches"]
    assert [each["name"] for each in mismatch] == ["rank1.x"]
    assert mismatch[0]["max_abs"] > 0
    assert mismatch[0]["total"] == 1000
    section = healthy.section("test_drawn")
    assert "is not reproducible (bit for bit, 2 runs in 2 ranks, seed 0)" in section
    assert "rank1.x   float32[1000]   run 2 differs from run 1" in section
    assert [each["name"] for each in healthy.rows["test_step"]["mismatches"]] == ["rank0.loss[2]"]


def test_ranks_respect_tolerance_and_axes(healthy: Session) -> None:
    assert healthy.rows["test_close"]["verdict"] == "reproduced"
    axes = healthy.rows["test_axes"]
    assert list(dict.fromkeys(run["axis"] for run in axes["runs"])) == ["repeat", "dtype"]
    assert axes["verdict"] == "reproduced"


def test_a_rank_that_raises_fails_the_test_with_its_traceback(healthy: Session) -> None:
    assert healthy.rows["test_raises"]["verdict"] == "failed"
    section = healthy.section("test_raises")
    assert section.lstrip("_\n").startswith("rank 1: ValueError: boom")
    assert "raise ValueError" in section
    assert "test_it.py:" in section
    assert "pytest_repro" not in section
    for rank in (0, 1):
        assert f"Captured stdout of rank {rank} call" in section
        assert f"said by {rank}" in section.splitlines()


def test_a_rank_that_fails_in_only_one_run_is_a_difference(healthy: Session) -> None:
    assert healthy.rows["test_once"]["verdict"] == "diverged"
    assert "run 1 passed, run 2 failed (rank 0: ValueError: late)" in healthy.section("test_once")


def test_other_outcomes(healthy: Session) -> None:
    assert healthy.section("test_teardown").lstrip("_\n").startswith("rank 1: in teardown: OSError: left")
    assert "each rank: in setup: KeyError: 'x'" in healthy.section("test_fixture")
    assert [healthy.rows[name]["verdict"] for name in ("test_expected", "test_skip")] == ["failed", "skipped"]
    assert "3 xfailed" in healthy.text
    assert "XFAIL test_it.py::test_expected_error - known" in healthy.text
    assert "XFAIL test_it.py::test_calls_xfail - not here" in healthy.text
    assert healthy.section("test_another_error").lstrip("_\n").startswith("rank 0: KeyError: 'b'")
    assert healthy.rows["test_nothing"]["verdict"] == "unobserved"


def test_a_rank_that_skips_hides_no_difference(healthy: Session) -> None:
    row = healthy.rows["test_skip_of_one_hides_none"]
    assert (row["verdict"], row["mismatches"][0]["name"]) == ("diverged", "rank1.x")
    assert "rank1.x   float   run 2 differs from run 1" in healthy.section("test_skip_of_one_hides_none")


def test_the_failure_of_a_waiting_rank_names_the_rank_that_left(healthy: Session) -> None:
    section = healthy.section("test_leaves")
    assert section.lstrip("_\n").startswith("rank 0: RuntimeError")
    assert "rank 1 had left the test: it passed " in section


def test_output_warnings_and_properties_of_ranks_are_reported(healthy: Session) -> None:
    assert "SKIPPED [1] test_it.py" in healthy.text
    assert "rank 1: only one" in healthy.text
    section = healthy.section("test_sub [half] (rank=1, n=1)")
    assert "AssertionError: not the first" in section
    assert "contains 1 failed subtest" in healthy.section("test_sub")
    for said in ("each run of each rank (in each rank)", "of 0 rank (in rank 0)", "of 1 rank (in rank 1)"):
        assert healthy.text.count(f"said in {said}") == 1
    xml = (healthy.folder / "junit.xml").read_text()
    for name, value in {"world": 2, "rank": 0, "rank1.rank": 1, "device": "cpu"}.items():
        assert f'<property name="{name}" value="{value}" />' in xml
    assert "rank1.world" not in xml
    assert healthy.rows["test_heard"]["verdict"] == "reproduced"


def test_tokens_of_a_rank_report_their_logits(healthy: Session) -> None:
    section = healthy.section("test_tokens")
    assert "rank1.tokens   tokens   run 2 differs from run 1" in section
    assert "first at [1]: 0 in run 1, 1 in run 2" in section
    assert "in run 1 their logits are 3 apart, the largest 3 above the second" in section
    assert "sampled with temperature 0.5" in section


def test_omitted_extra_runs_are_reported(healthy: Session) -> None:
    assert "left out  repro_control: not for tests in ranks" in healthy.text


def test_no_process_is_left(healthy: Session) -> None:
    assert all(gone(pid) for pid, _ in healthy.ranks)


@unix
def test_a_rank_that_dies_fails_its_test_and_the_next_gets_new_ranks(tmp_path: Path) -> None:
    source = """
    def test_says(repro):
        repro.record(x=1)
        print(f"said in run {repro.run}")

    def test_exits(repro):
        if repro.rank == 1:
            os.write(2, b"my last words\\n")
            os._exit(3)
        dist.all_reduce(torch.zeros(1))

    def test_killed(repro):
        if repro.run == 1 and repro.rank == 0: os.kill(os.getpid(), signal.SIGKILL)
        dist.barrier()
    """
    session = Session(tmp_path, source, "-s").run()
    assert "2 failed, 1 passed" in session.text
    assert "rank 0: said in run 1\nrank 1: said in run 1\n" in session.text
    assert "said in run 0" not in session.text
    exits = session.section("test_exits")
    assert "test_exits: rank 1 of 2 died in the test (exit status 3)" in exits
    assert "my last words" in exits
    assert "test_killed: rank 0 of 2 died in the test (killed by SIGKILL)" in session.section("test_killed")
    assert {"failed"} == {session.rows[name]["verdict"] for name in ("test_exits", "test_killed")}
    assert all(gone(pid) for pid, _ in session.ranks)


def test_a_test_starts_when_all_ranks_have_joined(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        dedent("""
        import os, time
        import torch.distributed as dist
        join, joined = dist.init_process_group, []
        def late(*args, **kwargs):
            joined.append(1)
            if os.environ["RANK"] == "1" and len(joined) == 3: raise RuntimeError("no network")
            join(*args, **kwargs)
            if os.environ["RANK"] == "1":
                time.sleep(0.5)
                with open("joined", "a") as file: file.write(".")
        dist.init_process_group = late
        """)
    )
    source = """
    def test_late(repro):
        with open("joined") as file: assert file.read() == "." * (repro.run + 1)
        repro.record(x=1)
    def test_breaks(repro): repro.record(x=1)
    def test_after(repro): repro.record(x=1)
    """
    session = Session(tmp_path, source).run()
    assert {name: row["verdict"] for name, row in session.rows.items()} == {
        "test_late": "reproduced", "test_breaks": "failed", "test_after": "reproduced"
    }  # fmt: skip
    assert "test_breaks: rank 1 of 2 broke: RuntimeError: no network, at " in session.section("test_breaks")
    assert all(gone(pid) for pid, _ in session.ranks)


@needs("pytest_timeout")
def test_the_time_limit_of_a_test_ends_a_rank_that_hangs(tmp_path: Path) -> None:
    source = """
    @pytest.mark.timeout(4)
    def test_hangs(repro):
        x = torch.zeros(1)
        if repro.rank == 1: time.sleep(1000)
        dist.all_reduce(x)

    @pytest.mark.timeout(4)
    def test_hangs_alone(repro):
        if repro.rank == 1: time.sleep(1000)
    """
    session = Session(tmp_path, source, "-p", "timeout").run()
    section = session.section("test_hangs")
    assert "test_hangs: Timeout" in section
    assert "rank 0 is at\n" in section
    assert "dist.all_reduce(x)" in section
    assert "rank 1 is at\n" in section
    assert "time.sleep(1000)" in section
    alone = session.section("test_hangs_alone")
    assert "rank 0 is done\nrank 1 is at\n" in alone
    assert all(gone(pid) for pid, _ in session.ranks)


@needs("xdist")
def test_ranks_of_workers_are_separate(tmp_path: Path) -> None:
    source = """
    @pytest.mark.parametrize("n", range(4))
    def test_sum(n, repro, worker_id):
        x = torch.full((2,), float(n))
        dist.all_reduce(x)
        repro.record(x=x, worker=worker_id)
        assert x[0] == 2 * n
    """
    session = Session(tmp_path, source, "-p", "xdist", "-n2").run()
    assert len(session.rows) == 4
    assert {"reproduced"} == {row["verdict"] for row in session.rows.values()}
    assert all(gone(pid) for pid, _ in session.ranks)


@unix
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_no_rank_outlives_its_session(tmp_path: Path, by: signal.Signals) -> None:
    session = Session(tmp_path, "def test_hangs():\n    open('begun', 'w').close()\n    time.sleep(1000)")
    with session.begin() as process:
        end = time.monotonic() + 240
        while not (tmp_path / "begun").exists() and time.monotonic() < end:
            time.sleep(0.1)
        ranks = session.ranks
        process.send_signal(by)
        process.wait(60)
        assert sorted(rank for _, rank in ranks) == ["0", "1"]
        assert all(gone(pid) for pid, _ in ranks)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("ranks=0", "ranks=0: a whole number, 1 or more"),
        ("ranks='2'", "ranks='2': a whole number, 1 or more"),
        ("ranks=True", "ranks=True: a whole number, 1 or more"),
        ("ranks=(1, 0)", "ranks=(1, 0): a whole number, 1 or more, or several: ranks=(1, 2, 4)"),
        ("ranks=(2, 2)", "ranks=(2, 2): different numbers of processes: ranks=(1, 2, 4)"),
        ("ranks=(1, 2), machine='popen'", "not together with ranks=1"),
        ("ranks=2, machine='popen'", "not together with ranks=2"),
        ("ranks=2, seeds=5", "seeds=(0, 1, 2, 3, 4): not together with ranks=2"),
        ("ranks=2, alignment=(0, 1)", "not together with ranks=2"),
        ("ranks=2, device=('cpu', 'cuda:1')", "each rank uses the GPU of its own number"),
    ],
)
def test_invalid_combinations_are_refused(project: Project, given: str, says: str) -> None:
    source = f"import pytest\n@pytest.mark.reproducible({given})\ndef test_a(): pass\n"
    project(source).check(exit=4, says=["test_it.py::test_a: @pytest.mark.reproducible: ", says])


def test_missing_torch_is_reported(project: Project) -> None:
    project.write(conftest="import sys\nsys.modules['torch'] = None\n")
    project("import pytest\n@pytest.mark.reproducible(ranks=2)\ndef test_a(): pass\n", subprocess=True).check(
        failed=1, says="test_a: 2 ranks could not be started: torch is not installed"
    )


@pytest.mark.gpu
def test_each_rank_uses_the_gpu_of_its_number_with_nccl(tmp_path: Path) -> None:
    source = """
    @pytest.mark.reproducible(ranks=1, device=("cpu", "cuda"))
    def test_device(repro):
        x = torch.ones(3, device=repro.device)
        dist.all_reduce(x)
        assert "nccl" in dist.get_backend(), dist.get_backend()
        repro.record(x=x, device=str(x.device) if repro.setting["device"] == "cpu" else "cpu")
    """
    session = Session(tmp_path, source).run()
    assert session.rows["test_device"]["verdict"] == "reproduced", session.text

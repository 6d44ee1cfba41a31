"""The head of the JSON report: CI run, shard, commit, start and duration."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from pytest_repro.core.machine import VARIABLES
from pytest_repro.reports.json.report_head import find_commit, find_run_id, find_shard, is_random_run_id
from tests.conftest import Project

TEST = "def test_it(repro):\n    repro.record(x=1.0)\n"


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True)
    return done.stdout.decode().strip()


def test_head_of_a_shard(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_RUN_ID", "9001")
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    root = project.pytester.path
    git(root, "init", "-q")
    git(root, "commit", "--allow-empty", "-qm", "first")
    project(TEST, "--repro-json=r.json", "--repro-shard=03/8")
    report = json.loads((root / "r.json").read_text())
    assert list(report)[:7] == ["format", "run_id", "shard", "commit", "started", "duration", "environment"]
    assert (report["run_id"], report["shard"]) == ("9001-2", "3/8")
    assert report["commit"] == git(root, "rev-parse", "HEAD")
    assert datetime.fromisoformat(report["started"].replace("Z", "+00:00")).utcoffset() is not None
    assert 0 < report["duration"] < 300


def test_variables_that_change_results_are_in_the_report(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("SOME_TOKEN", "hunter2")
    for name in set(VARIABLES) - {"OPENBLAS_CORETYPE"}:
        monkeypatch.delenv(name, raising=False)
    result = project(TEST, "--repro-json=r.json", "--repro-html=r.html")
    text = (result.folder / "r.json").read_text()
    environment = json.loads(text)["environment"]
    assert {name: environment[name] for name in environment.keys() & VARIABLES.keys()} == {
        "OPENBLAS_CORETYPE": "Haswell"
    }
    page = (result.folder / "r.html").read_text()
    assert "OPENBLAS_CORETYPE" in page
    assert "hunter2" not in text + page


def test_commit_of_changed_files_is_dirty(tmp_path: Path) -> None:
    assert find_commit(tmp_path, {"CI_COMMIT_SHA": "abc"}) == "abc"
    git(tmp_path, "init", "-q")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "first")
    git(tmp_path, "tag", "v1")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert find_commit(tmp_path, {"CI_COMMIT_SHA": "abc"}) == commit
    (tmp_path / "a").write_text("2")
    assert find_commit(tmp_path, {}) == f"{commit}-dirty"


@pytest.mark.parametrize(
    ("environ", "shard"),
    [
        ({"CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4"}, "2/4"),
        ({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "4"}, "1/4"),
        ({"BUILDKITE_PARALLEL_JOB": "3", "BUILDKITE_PARALLEL_JOB_COUNT": "4"}, "4/4"),
        ({"SYSTEM_JOBPOSITIONINPHASE": "4", "SYSTEM_TOTALJOBSINPHASE": "4"}, "4/4"),
        ({"BITBUCKET_PARALLEL_STEP": "0", "BITBUCKET_PARALLEL_STEP_COUNT": "4"}, "1/4"),
        ({"SEMAPHORE_JOB_INDEX": "1", "SEMAPHORE_JOB_COUNT": "4"}, "1/4"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "9",
                "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_MIN": "5",
                "SLURM_ARRAY_TASK_STEP": "2",
            },
            "3/4",
        ),
        ({"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "1"}, ""),
        ({"CI_NODE_INDEX": "x", "CI_NODE_TOTAL": "4"}, ""),
        ({}, ""),
    ],
)
def test_shard_of_a_ci_job(environ: dict[str, str], shard: str) -> None:
    assert find_shard(environ) == shard


@pytest.mark.parametrize(
    ("environ", "run_id"),
    [
        ({"CI_PIPELINE_ID": "7"}, "7"),
        ({"GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "2"}, "7-2"),
        ({"BUILD_TAG": "jenkins-tests-7"}, "jenkins-tests-7"),
    ],
)
def test_run_id_of_a_ci_job(environ: dict[str, str], run_id: str) -> None:
    assert (find_run_id(environ), is_random_run_id(run_id)) == (run_id, False)


def test_runs_outside_of_ci_have_different_ids() -> None:
    assert find_run_id({}) != find_run_id({})
    assert is_random_run_id(find_run_id({}))


def test_shards_of_pytest_split(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytest_split")
    monkeypatch.setenv("CI_NODE_INDEX", "1")
    monkeypatch.setenv("CI_NODE_TOTAL", "9")
    names = set()
    for group in (1, 2):
        source = "".join(f"def test_{n}(repro):\n    repro.record(x=1.0)\n" for n in range(5))
        result = project(source, "--splits=2", f"--group={group}", plugins=["pytest_split.plugin"])
        assert result.report["shard"] == f"{group}/2"
        names |= {*result.verdicts}
    assert len(names) == 5


def test_xdist_writes_one_report_of_a_shard(project: Project) -> None:
    """The run id that its option gives is that of the report; workers have none of their own."""
    pytest.importorskip("xdist")
    arguments = ["-n2", "--testrunuid=nightly-7", "--repro-shard=2/3"]
    result = project("def test_a(repro):\n    repro.record(x=1.0)\n" + TEST, *arguments, plugins=["xdist"])
    assert (result.report["run_id"], result.report["shard"]) == ("nightly-7", "2/3")
    assert {*result.verdicts} == {"test_a", "test_it"}


@pytest.mark.parametrize("shard", ["0/8", "9/8", "3", "a/b"])
def test_a_shard_that_is_none_is_refused(project: Project, shard: str) -> None:
    result = project(TEST, f"--repro-shard={shard}")
    result.check(f"--repro-shard: '{shard}': its number and the number of shards: 3/8", exit=4)

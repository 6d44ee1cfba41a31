"""The head of the JSON report: which CI run and shard, which commit, when, and for how long."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

_RUN_VARIABLES = (
    "GITHUB_RUN_ID", "CI_PIPELINE_ID", "CIRCLE_WORKFLOW_ID", "BUILDKITE_BUILD_ID", "BUILD_BUILDID",
    "BITBUCKET_PIPELINE_UUID", "SEMAPHORE_WORKFLOW_ID", "TRAVIS_BUILD_ID", "BUILD_TAG", "SLURM_ARRAY_JOB_ID",
    "SLURM_JOB_ID",
)  # fmt: skip
"""Equal in all jobs of one run of GitHub Actions, GitLab, CircleCI, Buildkite, Azure, Bitbucket, Semaphore,
Travis, Jenkins, Slurm."""
_SHARD_VARIABLES = (
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", "1"),
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", "0"),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", "0"),
    ("SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE", "1"),
    ("BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", "0"),
    ("SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", "1"),
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
)
"""Number of the job, of jobs, and of the first job or its variable: GitLab and Knapsack, CircleCI, Buildkite,
Azure, Bitbucket, Semaphore, Slurm. GitHub and Jenkins have none."""
_COMMIT_VARIABLES = (
    "GITHUB_SHA", "CI_COMMIT_SHA", "CIRCLE_SHA1", "BUILDKITE_COMMIT", "BUILD_SOURCEVERSION", 
    "BITBUCKET_COMMIT", "SEMAPHORE_GIT_SHA", "TRAVIS_COMMIT", "GIT_COMMIT",
)  # fmt: skip
CI_VARIABLES = _RUN_VARIABLES + _COMMIT_VARIABLES
"""Variables from which a report has its run id and its commit, outside of a repository of git."""
_GIT_SECONDS = 10.0
_RANDOM_PREFIX = "local-"


def is_random_run_id(run_id: str) -> bool:
    """Whether it is of a session outside of CI, which does not know whether others are of the same run."""
    return run_id.startswith(_RANDOM_PREFIX)


def find_run_id(environ: Mapping[str, str]) -> str:
    """The id of the CI run, equal in all its shards; elsewhere a random one, ``local-…``."""
    run_id = next((environ[name] for name in _RUN_VARIABLES if environ.get(name)), "")
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "") if environ.get("GITHUB_RUN_ID") else ""
    return f"{run_id}-{attempt}" if attempt else run_id or f"{_RANDOM_PREFIX}{uuid.uuid4().hex}"


def find_shard(environ: Mapping[str, str]) -> str:
    """``"3/100"`` from the variables of a CI system; ``""`` if there are none, or a single shard."""
    for index, total, first in _SHARD_VARIABLES:
        numbers = [environ.get(name, default) for name, default in ((index, ""), (total, ""), (first, first))]
        if all(map(str.isdigit, numbers)) and int(numbers[1]) > 1:
            step = int(environ.get("SLURM_ARRAY_TASK_STEP", "1")) if index.startswith("SLURM") else 1
            return f"{(int(numbers[0]) - int(numbers[2])) // step + 1}/{int(numbers[1])}"
    return ""


def find_commit(root: Path, environ: Mapping[str, str]) -> str:
    """The commit checked out at *root*, with ``-dirty`` if tracked files differ; ``""`` if unknown."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):  # no git, or a repository that is too slow
        done = None
    if done is not None and done.returncode == 0:
        return done.stdout.strip()
    return next((environ[name] for name in _COMMIT_VARIABLES if environ.get(name)), "")

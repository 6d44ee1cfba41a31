"""Options stored under a name."""

from __future__ import annotations

import pytest

from tests.conftest import Project

TEST = "import pytest\n@pytest.mark.reproducible(runs=2)\ndef test_a(repro): repro.record(x=1)\n"
INI = """
[pytest]
repro_profiles =
    quick: --repro-runs=1
    nightly: --repro-runs=5 --repro-vary=order=2 --repro-seeds=1,2
    broken: --repro-runs=0
    unknown: --maxfail=1
"""


def test_a_profile_acts_like_the_command_line(project: Project) -> None:
    project.pytester.makeini(INI + "repro_profile = quick\n")
    result = project(TEST, "--repro-profile=nightly", "--repro-seeds=7")
    result.check("profile nightly, seed 0, 5 runs", passed=1)
    (row,) = result.report["tests"]
    assert {run["axis"] for run in row["runs"]} == {"repeat", "order"}
    assert row["plan"]["runs"] == 5
    assert "0 of 7 failed" in result.text


def test_the_ini_file_selects_a_profile(project: Project) -> None:
    project.pytester.makeini(INI + "repro_profile = quick\n")
    project(TEST).check("profile quick, seed 0, 1 run, nothing is compared", passed=1)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "night",
            "--repro-profile=night: there is no such profile; known are quick, nightly, broken, unknown",
        ),
        ("broken", "repro_profiles: broken: argument --repro-runs: 0: a whole number, 1 or more"),
        ("unknown", "repro_profiles: unknown: unrecognized arguments: --maxfail=1"),
    ],
)
def test_an_invalid_profile_is_a_usage_error(project: Project, name: str, says: str) -> None:
    project.pytester.makeini(INI)
    project(TEST, f"--repro-profile={name}").check(says, exit=4)


def test_a_line_without_a_name_is_refused(project: Project) -> None:
    project.pytester.makeini("[pytest]\nrepro_profiles = --repro-runs=5\n")
    says = "repro_profiles = '--repro-runs=5': NAME: --repro-runs=5 …, and each name once"
    project(TEST).check(says, exit=4)

"""``--repro-require``: a session that compared too few tests fails, whatever it was that left them out."""

from __future__ import annotations

import pytest

from tests.conftest import Project
from tests.plugin.peers import needs

SOURCE = """
import os, pytest
def test_a(repro): repro.record(x=1)
def test_b(repro): repro.record(x=1)
@pytest.mark.xfail
def test_expected(repro): repro.record(x=os.urandom(4))
@pytest.mark.xfail
@pytest.mark.reproducible
def test_nothing(): pass
@pytest.mark.skip
def test_skipped(repro): pass
@pytest.mark.reproducible(runs=1)
def test_once(): pass
@pytest.mark.xfail
def test_fails(repro): assert False
def test_plain(): pass
"""
COUNTED = (
    "3 compared (2 reproduced, 1 diverged), 1 observed nothing, "
    "1 ran once, nothing compared, 1 skipped, 1 xfailed"
)
NONE = "0 compared, 0 observed nothing"


def few(found: str, option: str, number: int) -> str:
    return f"too few   {found} compared, {option} requires at least {number}: the session fails"


def test_what_was_really_compared_counts(project: Project) -> None:
    project(SOURCE, "--repro-require=3").check(exit=0, says=COUNTED, lacks="too few")
    project.again("--repro-require=4").check(
        exit=1, failed=0, says=[COUNTED, few("3 tests were", "--repro-require=4", 4)]
    )


@pytest.mark.parametrize(
    ("args", "code", "found"),
    [
        (["-q", "-k", "test_a"], 1, "1 test was"),
        (["-qq", "-k", "test_a"], 1, "1 test was"),
        (["--no-summary", "-k", "test_a"], 1, "1 test was"),
        (["-k", "test_plain"], 1, "no tests were"),
        (["-k", "nobody"], 5, "no tests were"),
        (["--repro-runs=1"], 1, "no tests were"),
        (["-x", "-k", "test_a or fails", "--runxfail"], 1, "1 test was"),
        (["--deselect=test_it.py"], 5, "no tests were"),
    ],
)
def test_too_few_are_told_whatever_left_them_out(
    project: Project, args: list[str], code: int, found: str
) -> None:
    result = project(SOURCE, "--repro-require=2", *args)
    assert result.text.count(few(found, "--repro-require=2", 2)) == 1, result.text
    assert ("= reproducibility =" in result.text) == ("--no-summary" not in args)
    assert result.run.ret == code


def test_nothing_marked_at_all(project: Project) -> None:
    project("def test_a(): pass", "--repro-require=1").check(passed=1, exit=1, says=f"{NONE}\ntoo few   no ")
    project("", "--repro-require=1").check(exit=5, says=f"{NONE}\ntoo few   no ")


@pytest.mark.parametrize(
    "args", [["--collect-only"], ["--setup-only"], ["--setup-plan"], ["--fixtures"], ["--repro-require=0"]]
)
def test_where_no_test_was_to_run_nothing_is_asked(project: Project, args: list[str]) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_require = 9")
    project(SOURCE, *args).check(exit=0, lacks="too few")


def test_a_session_that_is_broken_off_ends_as_ever(project: Project) -> None:
    project("def test_a(repro): raise KeyboardInterrupt", "--repro-require=1", subprocess=True).check(
        exit=2, lacks="too few"
    )
    project("import nothing_of_that_name", "--repro-require=1").check(exit=2, lacks="too few")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("--repro-require=-1", "argument --repro-require: -1: a whole number of tests, 0 or more"),
        ("--repro-require=x", "argument --repro-require: 'x': a whole number of tests, 0 or more"),
        ("repro_require = -3", "repro_require = -3: a whole number of tests, 0 or more"),
        ('repro_require = "many"', "repro_require"),
    ],
)
def test_a_wrong_number_is_a_usage_error(project: Project, given: str, says: str) -> None:
    option = [given] if given.startswith("-") else []
    project.ini("[tool.pytest.ini_options]\n" + ("" if option else given))
    project(SOURCE, *option).check(exit=4, says=says, lacks="Traceback")


def test_the_ini_file_asks_and_the_command_line_wins(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_require = 4")
    project(SOURCE).check(exit=1, says=few("3 tests were", "repro_require = 4", 4))
    project.again("--repro-require=3").check(exit=0)


def test_a_profile_that_asks_is_named(project: Project) -> None:
    project.ini('[tool.pytest.ini_options]\nrepro_profiles = ["ci: --repro-require=4"]')
    says = few("3 tests were", "--repro-require=4 (profile ci)", 4)
    project(SOURCE, "--repro-profile=ci").check(exit=1, says=says)
    project.again("--repro-profile=ci", "--repro-require=5").check(exit=1, says="--repro-require=5 requires")


@needs("xdist")
def test_workers_do_not_count_their_share(project: Project) -> None:
    project(SOURCE, "-n2", "--repro-require=3", plugins=["xdist"]).check(exit=0, says=COUNTED)
    result = project.again("-n2", "-q", "--repro-require=4", plugins=["xdist"]).check(exit=1)
    assert result.text.count("too few") == 1


def test_companions_are_no_sessions_of_their_own(project: Project) -> None:
    project(
        """
        import pytest
        @pytest.mark.reproducible(process=True)
        def test_a(repro): repro.record(x=1)
        """,
        "--repro-require=1",
    ).check(passed=1, exit=0, says="1 compared (1 reproduced)", lacks="too few")


def test_why_a_test_was_not_compared_is_told(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        import pytest, torch
        on = pytest.mark.reproducible
        @on(device=("cpu", "meta:99999"))
        def test_device(repro): repro.record(x=1)
        """,
        "--repro-vary=device=cpu,xpu",
    ).check(skipped=1, says="0 compared, 0 observed nothing, 1 skipped on every device\n")

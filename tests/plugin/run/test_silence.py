"""Rehearsals leave no trace in what other plugins see."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.conftest import Project

LOUD = """
import logging, sys, warnings, pytest
def test_a(repro, record_property, request):
    print("Hear ye")
    print("Read ye", file=sys.stderr)
    logging.getLogger().warning("Note ye")
    warnings.warn("warned")
    record_property("mine", 1)
    request.node.add_marker(pytest.mark.custom(repro.run))
    assert len(list(request.node.iter_markers("custom"))) == 1
    repro.record(x=1)
    assert repro.run < 3
    {end}
"""


def test_output_logs_warnings_and_properties_appear_once(project: Project) -> None:
    project.ini("[tool.pytest.ini_options]\nmarkers = ['custom']")
    result = project(LOUD.format(end="assert 0"), "--repro-runs=3", "--junitxml=j.xml", "-Wdefault")
    result.check(failed=1, warnings=2)
    for word in ("\nHear ye", "\nRead ye", "test_it.py:5 Note ye"):
        assert result.text.count(word) == 1, result.text
    (case,) = ET.parse(result.folder / "j.xml").getroot().iter("testcase")
    properties = [(p.get("name"), p.get("value")) for p in case.iter("property")]
    assert properties == [("mine", "1"), ("repro_verdict", "failed"), ("repro_seed", "0")]


@pytest.mark.parametrize("how", ["-s", "--capture=tee-sys"])
def test_what_is_not_captured_is_printed_once(project: Project, how: str) -> None:
    project.ini("[tool.pytest.ini_options]\nmarkers = ['custom']")
    args = (how, "-Wdefault", "--log-cli-level=INFO", "--log-file=log.txt")
    result = project(LOUD.format(end=""), *args).check(passed=1)
    for word in ("Hear ye", "Read ye"):
        assert result.text.count(word) == 1, result.text
    assert result.text.count("WARNING  root:test_it.py:5 Note ye") == 1
    assert (result.folder / "log.txt").read_text().count("Note ye") == 1


def test_warnings_as_errors_hold_in_each_run(project: Project) -> None:
    result = project(
        """
        import warnings
        def test_a(repro):
            repro.record(x=1)
            warnings.warn("warned")
        """,
        "-Werror",
    ).check(failed=1, says="UserWarning: warned")
    assert [run["outcome"] for run in result.report["tests"][0]["runs"]] == ["failed", "failed"]


def test_hooks_of_others_hear_of_one_run(project: Project) -> None:
    project.write(
        conftest="""
        import pytest
        heard = []
        def pytest_runtest_logstart(): heard.append("start")
        def pytest_runtest_logreport(report): heard.append(report.when)
        def pytest_runtest_logfinish(): heard.append("finish")
        def pytest_exception_interact(): heard.append("interact")
        def pytest_warning_recorded(): heard.append("warning")
        def pytest_sessionfinish():
            assert heard == ["start", "setup", "call", "interact", "teardown", "finish", "warning"], heard
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            setattr(item, "rep_" + report.when, report)
            return report
        @pytest.fixture
        def asks_how_it_went(request):
            yield
            assert request.node.rep_call.failed
        """
    )
    project(
        """
        import warnings
        def test_a(repro, asks_how_it_went):
            warnings.warn("once")
            assert 0
        """,
        "--repro-runs=3",
        "-Wdefault",
    ).check(failed=1, exit=1)


def test_subtests_are_counted_once(project: Project) -> None:
    source = """
        import pytest
        @pytest.mark.reproducible
        def test_a(subtests, repro):
            repro.record(x=1)
            for i in range(4):
                with subtests.test(i=i):
                    assert i != {broken}
    """
    if not hasattr(pytest, "Subtests"):
        pytest.skip("subtests came with pytest 9.0")
    project(source.format(broken=9), "-v").check(passed=1, says="4 subtests passed")
    result = project(source.format(broken=2)).check(failed=2, says="contains 1 failed subtest\n")
    assert result.verdicts == {"test_a": "failed"}


def test_the_debugger_stops_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(
        conftest="""
        def pytest_enter_pdb(): print("entered")
        class Pdb:
            def __init__(self, *a, **k): pass
            def setup(self, *a): pass
            def set_trace(self, *a, **k): pass
            def reset(self): pass
            def interaction(self, *a): print("postmortem")
            quitting = False
        """
    )
    result = project(
        "def test_a(repro):\n    assert 0", "--pdb", "--pdbcls=conftest:Pdb", "-s", subprocess=True
    )
    assert result.check(failed=1).text.count("postmortem") == 1


def test_what_a_wider_fixture_printed_is_shown(project: Project) -> None:
    result = project(
        """
        import pytest
        @pytest.fixture(scope="module")
        def server():
            print("cannot bind 8080")
        @pytest.fixture
        def client(server): print("no", "answer")
        def test_a(client, repro): assert 0
        """
    ).check(failed=1)
    assert [result.text.count(word) for word in ("\ncannot bind 8080\n", "\nno answer\n")] == [1, 1]


def test_a_warning_that_only_a_rehearsal_gave_is_told_once(project: Project) -> None:
    result = project(
        """
        import warnings, pytest
        @pytest.fixture(scope="module")
        def wide(): warnings.warn("made once")
        def test_a(wide, repro):
            warnings.warn("each time")
            repro.record(x=1)
        """,
        "-Wdefault",
        "--repro-runs=3",
    ).check(passed=1, warnings=2)
    assert [result.text.count(f"UserWarning: {word}") for word in ("made once", "each time")] == [1, 1]

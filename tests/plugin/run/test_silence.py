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


@pytest.mark.parametrize("where", ["set-up", "body"])
def test_what_is_printed_before_a_wider_fixture_is_shown(project: Project, where: str) -> None:
    result = project(
        f"""
        import pytest
        @pytest.fixture(scope="module")
        def server():
            print("made once")
        @pytest.fixture
        def client(request):
            print("connecting")
            if {where!r} == "set-up": request.getfixturevalue("server")
        def test_a(client, request, repro):
            request.getfixturevalue("server")
            assert 0
        """,
        "--repro-runs=3",
    ).check(failed=1)
    assert result.text.count("\nconnecting\n") == 1, result.text


@pytest.mark.parametrize("how", ["-s", "--capture=fd", "--capture=sys", "--capture=tee-sys"])
def test_what_is_printed_after_a_disabled_capture_is_dropped(project: Project, how: str) -> None:
    result = project(
        """
        import pytest
        @pytest.fixture
        def shown(capfd):
            with capfd.disabled():
                yield
            print("the end")
        def test_a(shown, repro):
            repro.record(x=1)
        """,
        how,
    ).check(passed=1)
    assert "the end" not in result.text


def test_phases_are_captured_together_and_still_apart(project: Project) -> None:
    """A stream that a set-up replaced, or ``capsys``, is what pytest makes of it in the last run too."""
    result = project(
        """
        import io, os, sys, pytest
        @pytest.fixture
        def replaced():
            sys.stdout = io.StringIO()
        @pytest.fixture(scope="module")
        def wide():
            print("made once")
        def test_replaced(replaced, repro):
            repro.record(stream=type(sys.stdout).__name__)
        def test_capsys(capsys, repro):
            os.write(1, b"not here")
            print("here")
            repro.record(out=capsys.readouterr().out)
        def test_capfd(capfd, repro):
            os.write(1, b"here")
            repro.record(out=capfd.readouterr().out)
        def test_earlier_runs_print(request, repro):
            print("in a body")
            if repro.run == 1: request.getfixturevalue("wide")
            assert 0
        def test_closed_file(repro):
            repro.record(written=os.write(1, b"open"))
            os.close(1)
        """,
        "--repro-runs=3",
    ).check(passed=4, failed=1)
    assert [result.text.count(word) for word in ("\nin a body\n", "not here")] == [1, 0]


WARNS = """
import functools, warnings, numpy as np, pytest
def deprecated(name): warnings.warn(f"{name} is deprecated", DeprecationWarning)
cached, calls, known = functools.cache(deprecated), [], set()
@pytest.fixture(scope="module")
def wide():
    deprecated("made once")
    yield
    deprecated("ended once")
@pytest.fixture
def narrow():
    yield
    deprecated("ended each time")
def test_cached(wide, narrow):
    for name in "ab": cached(name)
    for name in "cc": deprecated(name)
    x = np.ones(2)
def test_state(wide):
    calls.append(x := np.ones(2))
    warnings.warn(f"call number {len(calls)}")
    if "op" in known: warnings.warn("op is registered twice")
    known.add("op")
"""


@pytest.mark.parametrize("args", [["--repro-all", "--repro-runs=3"], []])
def test_warnings_are_those_without_the_plugin(project: Project, args: list[str]) -> None:
    def summarize(text: str) -> str:
        return text.partition("warnings summary")[2].partition("Docs:")[0]

    found = summarize(project(WARNS, "-Wdefault", *args).check(passed=2).text)
    assert found.count("Warning: ") == 7
    plain = project.pytester.runpytest_inprocess("-Wdefault", "-p", "no:cacheprovider")
    assert found == summarize(str(plain.stdout))


def test_a_warning_of_another_setting_names_it(project: Project) -> None:
    pytest.importorskip("torch")
    project(
        """
        import torch, pytest, warnings
        @pytest.mark.reproducible(threads=(1, 2))
        def test_a(repro):
            if repro.setting["threads"] == 2: warnings.warn("two many")
            repro.record(x=1)
        """,
        "-Wdefault",
    ).check(passed=1, warnings=1, says="UserWarning: two many (with 2 threads)")

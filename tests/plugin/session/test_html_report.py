"""--repro-html: the page of a session, from workers too, and where it cannot be written."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import Project
from tests.reports.html.test_page import Page

SOURCE = """
import itertools
import numpy as np, pytest
runs = itertools.count()
@pytest.mark.parametrize("n", range(3))
def test_differs(repro, n):
    run = next(runs)
    for step in range(20):
        repro.record(loss=1 / (step + 1) + (step > 11) * run * 1e-9)
    repro.record(weights=np.linspace(0, 1, 1000) + run * 2.0**-40)
def test_same(repro): repro.record(x=1)
@pytest.mark.xfail
def test_awaited(repro): repro.record(x=next(runs))
def test_unmarked(): pass
"""
QUICK = "--repro-diagnose=never"


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def drawn(path: Path) -> list[str]:
    drawings = re.findall(r"<svg.*?</svg>", path.read_text(encoding="utf-8"), re.DOTALL)
    return [str(ElementTree.fromstring(each)[0].text) for each in drawings]


def test_what_differs_is_drawn(project: Project) -> None:
    result = project(SOURCE, "--repro-html=deep/page.html", QUICK).check(failed=3, passed=2, xfailed=1)
    path = project.pytester.path / "deep" / "page.html"
    shown = read(path)
    assert "4 of 5 tests are not reproducible." in shown.words
    assert "1 of them expected to fail" in shown.words
    assert "loss[12] and 8 more differ" in shown.words
    assert "1,000 of 1,000 elements differ, most" in shown.words
    of_one = [
        "loss against step, run 1 and run 2",
        "|a − b| of loss against step, logarithmic",
        "Elements of loss by distance in ulp",
        "Places of differing elements of weights",
        "Elements of weights by distance in ulp",
    ]
    assert drawn(path) == of_one * 3
    assert not {"page", "key", "failed"} & {key for test in result.report["tests"] for key in test}


def test_workers_send_what_is_drawn(project: Project) -> None:
    args = ("--repro-html=page.html", QUICK, "-n2")
    project(SOURCE, *args, plugins=["xdist", "xdist.looponfail"]).check(failed=3)
    path = project.pytester.path / "page.html"
    assert "4 of 5 tests are not reproducible." in read(path).words
    assert drawn(path).count("loss against step, run 1 and run 2") == 3


def test_the_op_that_diverged_stands_between_its_neighbours(project: Project) -> None:
    pytest.importorskip("torch")
    source = """
        import itertools, torch
        runs = itertools.count()
        def test_a(repro):
            x = torch.ones(3).add(1).mul(2).sub(3)
            y = x * next(runs)
            repro.record(y=y.neg().abs().exp())
    """
    project(source, "--repro-html=page.html", "--repro-trace", QUICK).check(failed=1)
    words = read(project.pytester.path / "page.html").words
    assert "Where the runs diverged" in words
    for name in ("add", "mul", "sub", "neg", "abs", "exp"):
        assert f"aten.{name}." in words, name


@pytest.mark.parametrize("path", ["file/page.html", "."])
def test_a_page_that_cannot_be_written_hides_no_result(project: Project, path: str) -> None:
    (project.pytester.path / "file").touch()
    result = project("def test_same(repro): repro.record(x=1)", f"--repro-html={path}")
    assert f"ERROR: --repro-html={path}: cannot be written" in result.text
    assert "Traceback" not in result.text
    assert result.run.ret != 0
    result.check(passed=1, says="1 reproduced")
    assert result.verdicts == {"test_same": "reproduced"}


def test_the_path_starts_where_pytest_was_started(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.ini("[tool.pytest.ini_options]\nrepro_html = 'page.html'")
    project.write(test_it="def test_same(repro): repro.record(x=1)")
    folder = project.pytester.mkdir("sub")
    monkeypatch.chdir(folder)
    project.again("..").check(passed=1)
    assert "The only test is reproducible." in read(folder / "page.html").words


def test_a_session_without_marked_tests_has_a_page(project: Project) -> None:
    project("def test_plain(): pass", "--repro-html=page.html").check(passed=1, exit=0)
    assert "No test was marked" in read(project.pytester.path / "page.html").words


def test_without_a_page_nothing_is_kept_for_one(project: Project) -> None:
    project.write(
        conftest="""
        def pytest_runtest_logreport(report):
            print(sorted(getattr(report, "repro", {})))
        """
    )
    project(SOURCE, QUICK, "-s").check(failed=3, says="'verdict'", lacks="'page'")


def test_the_cause_is_a_property_of_the_test(project: Project) -> None:
    source = """
        import itertools
        runs = itertools.count()
        def test_differs(repro): repro.record(x=next(runs))
        def test_same(repro): repro.record(x=1)
    """
    project(source, "--junitxml=unit.xml", "-o", "junit_family=xunit1", "--repro-diagnose=auto").check(
        failed=1
    )
    cases = ElementTree.parse(project.pytester.path / "unit.xml").iter("testcase")
    found = {
        case.attrib["name"]: {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
        for case in cases
    }
    assert found == {
        "test_differs": {"repro_verdict": "diverged", "repro_seed": "0", "repro_cause": "shared-state"},
        "test_same": {"repro_verdict": "reproduced", "repro_seed": "0"},
    }

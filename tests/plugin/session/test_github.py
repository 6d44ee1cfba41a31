from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import pytest

from pytest_repro.core.machine import VARIABLES
from tests.cli.reports import run
from tests.conftest import Project, Result

SOURCE = """
    import itertools, pytest
    counter = itertools.count()
    def test_same(repro): repro.record(x=1)
    def test_wild(repro):
        repro.record(x=next(counter))
    def test_nothing(repro): pass
    @pytest.mark.xfail
    def test_expected(repro): repro.record(x=next(counter))
    @pytest.mark.reproducible
    def test_plain(): assert 0
"""


@pytest.fixture
def github(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = project.pytester.path
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(folder.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    return project


def annotated(result: Result) -> list[str]:
    return [line for line in result.text.splitlines() if line.startswith("::")]


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_failures_of_ours_are_told_after_the_summary(github: Project, workers: tuple[str, ...]) -> None:
    plugins = ("xdist",) if workers else ()
    result = github(SOURCE, "--repro-diagnose=never", *workers, plugins=plugins, subprocess=bool(workers))
    name = github.pytester.path.name
    told = sorted(annotated(result))
    assert [line.split("::")[1] for line in told] == [
        f"error file={name}/test_it.py,line=4,title=not reproducible%3A test_wild",
        f"error file={name}/test_it.py,line=6,title=observed nothing%3A test_nothing",
    ]
    lines = result.run.outlines
    (last,) = [n for n, line in enumerate(lines) if line.startswith("====") and " failed" in line]
    assert all(lines.index(line) > last for line in told)
    text = (result.folder / "summary.md").read_text()
    assert text.count("### Reproducibility") == 1
    assert text.count("| diverged |") == 1
    assert "| python | CPython" in text


def test_it_adds_to_what_others_have_written(github: Project) -> None:
    path = github.pytester.path / "summary.md"
    path.write_text("before\n")
    github(SOURCE, "--repro-diagnose=never")
    github.again("--repro-diagnose=never")
    assert path.read_text().startswith("before\n### Reproducibility")
    assert path.read_text().count("### Reproducibility") == 2


def test_a_summary_that_cannot_be_written_hides_no_result(
    github: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = github.pytester.path
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
    says = f"WARNING: the summary of this step (GITHUB_STEP_SUMMARY={place}) cannot be written: "
    result = github(SOURCE, "--repro-diagnose=never").check(exit=1, says=says, lacks="Traceback")
    assert len(annotated(result)) == 2
    github("def test_same(repro): repro.record(x=1)").check(exit=0, passed=1, says=says)

    full = place / "full.md"
    full.write_text("x" * (1000 * 2**10 - 5))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(full))
    github.again().check(exit=0, says="1,023,995 bytes are in it, and GitHub takes no more than 1 MiB")
    assert full.stat().st_size == 1000 * 2**10 - 5


@pytest.mark.parametrize("value", ["", "false"])
def test_elsewhere_nothing_is_told(github: Project, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", value)
    result = github(SOURCE, "--repro-diagnose=never")
    assert annotated(result) == []
    assert not (result.folder / "summary.md").exists()


def test_a_session_without_marked_tests_tells_nothing(github: Project) -> None:
    result = github("def test_plain(): assert 0")
    assert annotated(result) == []
    assert not (result.folder / "summary.md").exists()


def test_companions_tell_nothing(github: Project) -> None:
    result = github(
        """
        import pytest
        @pytest.mark.reproducible(process=True)
        def test_hash(repro): repro.record(x=list({"a", "b", "c", "d", "e", "f", "g"}))
        """,
        "--repro-diagnose=never",
    )
    assert len(annotated(result)) == 1
    assert Path(result.folder / "summary.md").read_text().count("### Reproducibility") == 1


def test_what_golden_files_say_is_told_by_every_report(
    github: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    source = """
        import pytest
        @pytest.mark.reproducible(baseline=True)
        def test_value(repro): repro.record(x={x})
        @pytest.mark.reproducible(baseline=True)
        def test_{name}(repro): repro.record(x=1.0)
    """
    first = github(source.format(x=1.0, name="same"), "--repro-update").check(passed=2)
    fields = json.loads((first.folder / "__repro__" / "test_it.json").read_text())["environments"]
    known = {name: each for name, each in first.report["environment"].items() if name not in VARIABLES}
    assert known.items() <= next(iter(fields.values())).items()
    result = github(source.format(x=2.0, name="other"), "--repro-html=page.html").check(exit=1, failed=2)
    titles = [re.findall("title=([^:]*)", line)[0] for line in annotated(result)]
    assert titles == ["differs from its golden file%3A test_value", "no baseline%3A test_other"]
    summary = (result.folder / "summary.md").read_text()
    assert "differs from its golden file (bit for bit" in summary
    page = (result.folder / "page.html").read_text()
    assert "1 of 2 tests differs from its golden file." in page
    assert all(escape(field) in page for field in result.report["environment"].values())
    (result.folder / "report.json").write_text(json.dumps(result.report))
    code, out, _ = run(capsys, "show", str(result.folder / "report.json"))
    assert code == 0
    between = result.text.partition("FAILURES")[2].partition("short test summary")[0].splitlines()[1:-1]
    assert [line for line in between if line.strip() and line not in out.splitlines()] == []

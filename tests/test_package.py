"""What surrounds the package: addresses, versions, workflows, templates."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_repro import __version__

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read_project() -> dict[str, Any]:
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import tomllib

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def test_the_address_of_the_repository_is_that_of_the_project() -> None:
    """pyproject.toml has it; where another file needs it, it is the same."""
    address = read_project()["urls"]["Repository"]
    owner = address.removeprefix("https://github.com/").partition("/")[0]
    texts = [path.read_text() for path in [*ROOT.glob("examples/ci/*.yml"), ROOT / "CITATION.cff"]]
    for text in texts:
        assert f"uses: {owner}/pytest-repro@" in text or f"repository-code: {address}\n" in text
    assert all(url.startswith(address) for url in read_project()["urls"].values())
    owners = re.findall(r"@([\w-]+)/", (ROOT / ".github" / "CODEOWNERS").read_text())
    assert set(owners) == {owner}


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (__version__, read_project()["license"])


def iter_steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.stem))
def test_actions_are_pinned_and_jobs_may_only_read(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for step in iter_steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
        assert "${{" not in step.get("run", "").replace("${{ matrix.session }}", "")
    writing = {name for name, job in workflow["jobs"].items() if "write" in str(job.get("permissions"))}
    assert writing == ({"build", "publish"} if path.stem == "release" else set())


def test_the_matrix_runs_sessions_that_exist() -> None:
    sessions = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["matrix"]
    noxfile = (ROOT / "noxfile.py").read_text()
    ids = set(re.findall(r'id="([\w-]+)"', noxfile))
    for session in sessions["strategy"]["matrix"]["session"]:
        name, _, parameter = session.partition("(")
        base, _, python = name.partition("-")
        assert f"def {base}(" in noxfile
        assert parameter.rstrip(")") in {"", *ids}
        assert not python or f'"{python}"' in noxfile


def test_every_issue_template_asks_for_the_report_or_names_a_library() -> None:
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"):
        fields = {field["id"] for field in yaml.safe_load(path.read_text())["body"]}
        assert fields & {"report", "library"}, path


def test_the_hook_of_golden_files_is_a_command() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    command, name = hook["entry"].split()
    assert command in read_project()["scripts"]
    assert (ROOT / "pytest_repro" / "cli" / "commands" / f"{name.replace('-', '_')}.py").exists()
    assert re.search(hook["files"], "tests/__repro__/test_a.json")

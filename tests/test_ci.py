"""Reads action.yml and the workflows in examples/ci as YAML, and runs their steps with bash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / "examples" / "ci").glob("*.yml"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
needs_bash = pytest.mark.skipif(not shutil.which("bash") or sys.platform == "win32", reason="needs bash")

# Records the arguments of "python -m pip"; everything else runs.
PYTHON = """\
#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then printf '%s\\n' "$@" > pip.txt; else exec {python} "$@"; fi
"""
COMMAND = '#!/bin/sh\nexec {python} -m pytest_repro "$@"\n'


def evaluate(text: str, **values: str) -> str:
    """*text* with each ``${{ name }}`` replaced by its value."""
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: values[re.sub("[.-]", "_", match[1])], text)


class Runner:
    """Runs steps in a folder as GitHub runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.summary = folder, folder / "summary.md"
        for name, text in (("python", PYTHON), ("pytest-repro", COMMAND)):
            script = folder / "bin" / name
            script.parent.mkdir(exist_ok=True)
            script.write_text(text.format(python=sys.executable))
            script.chmod(0o755)

    def step(self, step: Mapping[str, Any], environ: Mapping[str, str] = {}, **values: str) -> Any:
        variables = {key: evaluate(value, **values) for key, value in step.get("env", {}).items()}
        script = self.folder / "step.sh"
        script.write_text(evaluate(step["run"], **values))
        env = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_ADDOPTS": "",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            **variables,
            **environ,
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def test_the_action_is_composite_and_passes_inputs_as_variables() -> None:
    assert ACTION["runs"]["using"] == "composite"
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])
    for step in STEPS.values():
        assert ("run" in step) == ("shell" in step)  # a composite step must name its shell
        assert "${{" not in step.get("run", "")
    assert STEPS["Upload"]["if"] == "${{ always() }}"
    assert re.fullmatch(r"actions/upload-artifact@[0-9a-f]{40}", STEPS["Upload"]["uses"])
    assert STEPS["Upload"]["with"]["path"] == "${{ inputs.reports }}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: str(path.name))
def test_a_workflow_passes_only_declared_inputs(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    ours = [step for step in steps if step.get("uses", "").startswith("pytest-repro/pytest-repro@")]
    assert ours
    assert all(set(step["with"]) <= set(ACTION["inputs"]) for step in ours)
    for job in workflow["jobs"].values():
        needed = [job.get("needs", [])] if isinstance(job.get("needs"), str) else job.get("needs", [])
        assert set(needed) <= set(workflow["jobs"])


@needs_bash
@pytest.mark.parametrize(
    ("requirements", "words"),
    [("", []), ('-r "a b.txt" -e .[test]', ["-r", "a b.txt", "-e", ".[test]"]), ("a\nb", ["a", "b"])],
)
def test_it_installs_itself_and_the_requirements(runner: Runner, requirements: str, words: list[str]) -> None:
    done = runner.step(STEPS["Install"], github_action_path="/the action", inputs_requirements=requirements)
    assert done.returncode == 0, done.stderr
    arguments = (runner.folder / "pip.txt").read_text().splitlines()
    assert arguments == ["-m", "pip", "install", "/the action", "--disable-pip-version-check", *words]


@needs_bash
def test_it_runs_reports_and_fails(runner: Runner) -> None:
    (runner.folder / "test_it.py").write_text(
        "def test_a(repro): repro.record(x=1)\n\ndef test_b(repro): repro.record(x=repro.run)\n"
    )
    args = "-p repro -p repro_marker -q --repro-diagnose=never -k 'test_a or test_b'"
    done = runner.step(STEPS["Run"], inputs_args=args, inputs_reports="the reports")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((runner.folder / "the reports" / "report.json").read_text())
    assert report["summary"] == {"diverged": 1, "reproduced": 1}
    assert "::error file=test_it.py,line=3,title=not reproducible%3A test_b::x differs" in done.stdout
    assert runner.summary.read_text().startswith("### Reproducibility: 2 compared (1 reproduced, 1 diverged)")


@needs_bash
def test_the_last_job_compares_two_machines(runner: Runner) -> None:
    torch = pytest.importorskip("torch")
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("needs AVX: two instruction sets stand for two machines")
    (runner.folder / "test_it.py").write_text(
        "import torch\n"
        "def test_sum(repro): repro.record(s=torch.linspace(0, 3, 1000).exp().double().sum())\n"
        "def test_counts(repro): repro.record(n=torch.arange(5))\n"
    )
    workflow = yaml.safe_load((ROOT / "examples" / "ci" / "two-runners.yml").read_text())
    args = "-p repro -p repro_marker -q"
    machines = zip(workflow["jobs"]["test"]["strategy"]["matrix"]["runner"], ("default", "avx2"))
    for name, capability in machines:
        # download-artifact creates a folder for each artifact, with its name.
        reports, environ = f"reports/repro-{name}", {"ATEN_CPU_CAPABILITY": capability}
        done = runner.step(STEPS["Run"], environ, inputs_args=args, inputs_reports=reports)
        assert done.returncode == 0, done.stdout + done.stderr
    compare = next(step for step in workflow["jobs"]["compare"]["steps"] if step.get("name") == "Compare")
    done = runner.step(compare)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("cpu capability +DEFAULT in A, AVX2 in B", done.stdout)
    assert "compared within rtol 1e-05 and atol 1e-08: 1 equal, 1 close" in done.stdout
    strict = {**compare, "run": compare["run"].replace("--rtol 1e-5 --atol 1e-8", "")}
    done = runner.step(strict)
    assert done.returncode == 1
    assert "differs  test_it.py::test_sum  s differs, max abs" in done.stdout


@needs_bash
def test_the_last_job_merges_the_shards(runner: Runner) -> None:
    pytest.importorskip("pytest_split")
    source = "".join(f"def test_{n}(repro): repro.record(x={n})\n" for n in range(8))
    (runner.folder / "test_it.py").write_text(source)
    workflow = yaml.safe_load((ROOT / "examples" / "ci" / "shards.yml").read_text())
    test, merge = (job["steps"][-1]["with"] for job in workflow["jobs"].values())
    environ = {"GITHUB_RUN_ID": "9001", "GITHUB_RUN_ATTEMPT": "1", "GITHUB_SHA": "c0ffee"}
    for shard in workflow["jobs"]["test"]["strategy"]["matrix"]["shard"]:
        args = evaluate(test["args"], matrix_shard=str(shard)).removeprefix("tests ")
        args += " -p repro -p repro_marker -p pytest_split.plugin -q"
        reports = f"shards/{evaluate(test['artifact'], matrix_shard=str(shard))}"
        done = runner.step(STEPS["Run"], environ, inputs_args=args, inputs_reports=reports)
        assert done.returncode == 0, done.stdout + done.stderr
    values = {"inputs_merge": merge["merge"], "inputs_reports": "all"}
    done = runner.step(STEPS["Merge"], inputs_args=merge["args"].replace("20", "8"), **values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("4 shards, 8 tests, run 9001, commit c0ffee\n")
    names = sorted(path.name for path in (runner.folder / "all").iterdir())
    assert names == ["ctrf.json", "junit.xml", "report.html", "report.json"]
    (runner.folder / "shards" / "repro-3" / "report.json").unlink()
    done = runner.step(STEPS["Merge"], inputs_args=merge["args"], **values)
    assert done.returncode != 0
    assert done.stdout.splitlines()[-2:] == [
        "missing    shard 3 of 4",
        "too few   6 tests were compared, --require=20 requires at least 20: the merge fails",
    ]

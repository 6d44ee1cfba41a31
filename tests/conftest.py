"""A project to run the plugin on: ``project("def test_a(repro): …").check(failed=1, says="…")``."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy.fft
import numpy.ma
import numpy.random
import numpy.typing  # noqa: F401
import pytest
from hypothesis import HealthCheck, settings

import pytest_repro
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from tests.fork_server import run_forked

for module in pkgutil.walk_packages(pytest_repro.__path__, "pytest_repro."):
    if not module.name.endswith("__main__"):
        with contextlib.suppress(ImportError):  # torch, and other libraries that are not installed
            importlib.import_module(module.name)
with contextlib.suppress(ImportError):
    import torch._dynamo  # noqa: F401

# Sessions in this process forget the modules that they imported, and numpy cannot be imported twice:
# what the projects use is imported here first.

pytest_plugins = "pytester"

SCHEMA = Path(pytest_repro.__file__).parent / "reports" / "json" / "format-1.schema.json"

# The same examples each time; ``--hypothesis-profile=default`` looks for new ones.
slow = [HealthCheck.too_slow]  # on a busy machine
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=slow)
settings.register_profile("few", settings.get_profile("repeatable"), max_examples=10)  # for coverage
settings.load_profile("repeatable")

# Where writing byte code is forbidden, as in many containers, each of the hundreds of interpreters that the
# tests start compiles the package again: a quarter of the time of a session with one companion.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Background jobs of a shell inherit an ignored SIGINT: their sessions could not be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


untraced = pytest.mark.skipif(sys.gettrace() is not None, reason="a debugger or coverage traces already")


@cache
def make_schema_validator() -> Any:
    """Validates reports against the schema, and against keys that it does not have; None if not installed."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError:
        return None
    schema = json.loads(SCHEMA.read_text())
    for record in (schema, *schema["$defs"].values()):
        if "properties" in record:
            record["additionalProperties"] = False
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@dataclass
class Result:
    """Output, exit code and reports of a session."""

    run: pytest.RunResult
    folder: Path

    @property
    def text(self) -> str:
        return "\n".join([*self.run.outlines, *self.run.errlines])

    @property
    def report(self) -> dict[str, Any]:
        report = json.loads((self.folder / "report.json").read_text())
        assert isinstance(report, dict)
        if (validator := make_schema_validator()) is not None:
            validator.validate(report)
        return report

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict word by test name."""
        return {test["nodeid"].split("::", 1)[1]: test["verdict"] for test in self.report["tests"]}

    def check(
        self,
        says: str | Sequence[str] = (),
        lacks: str | Sequence[str] = (),
        exit: int | None = None,
        **outcomes: int,
    ) -> Result:
        """Asserts counts of outcomes, the exit code, and text that the output has or lacks."""
        if outcomes:
            known = self.run.parseoutcomes()
            assert {k: known.get(k, 0) for k in outcomes} == outcomes, self.text
            bad = {k: v for k, v in known.items() if k in ("failed", "error", "errors")}
            assert all(outcomes.get(k) == v for k, v in bad.items()), self.text
        if exit is not None:
            assert exit == self.run.ret, self.text
        for text in [says] if isinstance(says, str) else says:
            assert text in self.text, self.text
        for text in [lacks] if isinstance(lacks, str) else lacks:
            assert text not in self.text, self.text
        return self


@dataclass
class Project:
    """A folder with a test module, where pytest runs with this plugin and chosen others.

    Differences are diagnosed only where a test sets *inquires* or gives ``--repro-diagnose`` itself:
    a diagnosis starts interpreters. With ``--no-subprocess``, tests that need others are skipped.
    A session in another interpreter is a fork of one that has *imported* these modules, if there are any.
    """

    pytester: pytest.Pytester
    inquires: bool = False
    no_subprocess: bool = False
    imported: Sequence[str] = ()

    def __call__(
        self, source: str, *args: str, plugins: Sequence[str] = (), subprocess: bool = False
    ) -> Result:
        """Writes *source* to test_it.py and runs pytest with *args*.

        Other installed plugins are off, except those whose entry points *plugins* names.
        """
        self.pytester.makepyfile(test_it=dedent(source))
        return self.again(*args, plugins=plugins, subprocess=subprocess)

    def again(self, *args: str, plugins: Sequence[str] = (), subprocess: bool = False) -> Result:
        """Runs pytest in the folder as it is."""
        if self.no_subprocess and (subprocess or "xdist" in plugins):
            pytest.skip("needs another interpreter")
        loaded = [word for name in ("repro", "repro_marker", *plugins) for word in ("-p", name)]
        if not self.inquires and not any(arg.startswith("--repro-diagnose") for arg in args):
            args = ("--repro-diagnose=never", *args)
        run: Callable[..., pytest.RunResult] = self.pytester.runpytest_inprocess
        if subprocess:
            run = self._fork if self.imported and FORK_AVAILABLE else self.pytester.runpytest_subprocess
        result = run("-p", "no:cacheprovider", *loaded, "--repro-json=report.json", *args)
        return Result(result, self.pytester.path)

    def _fork(self, *args: str) -> pytest.RunResult:
        code, output = run_forked(self.imported, args, self.pytester.path, os.environ)
        print(output)
        return pytest.RunResult(code, output.splitlines(), [], 0)

    def write(self, **files: str) -> None:
        """Writes Python files, named without their suffix."""
        self.pytester.makepyfile(**{name: dedent(text) for name, text in files.items()})

    def ini(self, text: str) -> None:
        """Writes pyproject.toml."""
        self.pytester.makepyprojecttoml(dedent(text))


@pytest.fixture
def project(
    request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Project:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    return Project(pytester, no_subprocess=request.config.getoption("no_subprocess"))


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Any]]:
    """Writes a module that this interpreter and others can import, by name and source, and imports it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    written = []

    def write(name: str, source: str) -> Any:
        (tmp_path / f"{name}.py").write_text(dedent(source))
        written.append(name)
        return importlib.import_module(name)

    yield write
    for name in written:
        sys.modules.pop(name, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what a measurement of coverage needs: other interpreters are not measured."""
    parser.addoption("--no-subprocess", action="store_true", help="skip sessions in other interpreters")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") is None:
        return
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")

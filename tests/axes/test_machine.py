"""The axis ``machine``, between this interpreter and another one with its own libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_repro import NotReproducible, assert_reproducible, check
from tests.conftest import Project, Result

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.13", "3.12", "3.10", "3.14", "3.11")
ASKED = "import json, numpy, sys, ensurepip; print(json.dumps([numpy.__version__, sys.version.split()[0]]))"
SVD = """
import numpy as np
def values():
    return np.linalg.svd(np.random.default_rng(0).standard_normal((60, 60)))[1]
"""


def interpreters() -> Iterator[str]:
    """Pythons of other versions: on PATH, and those of pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        if version != f"{sys.version_info.major}.{sys.version_info.minor}":
            kept = sorted(pyenv.glob(f"{version}.*/bin/python"))
            yield from [path for path in (shutil.which(f"python{version}"), *map(str, kept)) if path]


def starts(path: str) -> bool:
    asked = [path, "-c", "import ensurepip, venv"]
    return subprocess.run(asked, capture_output=True, timeout=60).returncode == 0


@pytest.fixture(scope="session")
def bare() -> str:
    """Another interpreter, as installed."""
    found = next(filter(starts, interpreters()), None)
    if found is None:
        pytest.skip(f"no other Python is installed: looked for {', '.join(VERSIONS)}")
    return found


@pytest.fixture(scope="session")
def other(bare: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An environment of that interpreter with this package and another version of numpy."""
    place = tmp_path_factory.mktemp("machine")
    python = str(place / ("Scripts" if os.name == "nt" else "bin") / "python")
    quiet = ("-q", "--disable-pip-version-check", "--no-input")
    for step in (
        [bare, "-m", "venv", str(place)],
        [python, "-m", "pip", "install", *quiet, str(ROOT), f"numpy!={np.__version__}"],
    ):
        done = subprocess.run(step, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"{' '.join(step[1:4])} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return python


@pytest.fixture
def versions(other: str) -> tuple[str, str]:
    """The versions of numpy and Python of the other interpreter."""
    numpy, python = json.loads(subprocess.check_output([other, "-c", ASKED]))
    return numpy, python


def unlike(versions: tuple[str, str], spec: str) -> list[str]:
    """Some of the lines that list what differs there; the BLAS does as well."""
    here = np.__version__, sys.version.split()[0]
    return [
        f"  unlike     numpy {here[0]} here, {versions[0]} on {spec}",
        f"             python CPython {here[1]} here, CPython {versions[1]} on {spec}",
    ]


def by_name(result: Result) -> dict[str, Any]:
    return {test["nodeid"].partition("::")[2]: test for test in result.report["tests"]}


def test_another_interpreter_is_compared_with_this_one(
    project: Project, other: str, versions: tuple[str, str]
) -> None:
    spec = f"popen//python={other}"
    project.write(svd=SVD)
    result = project(
        """
        import os, sys, numpy as np, pytest, svd
        there = sys.version_info.minor
        pytestmark = pytest.mark.reproducible
        def note(*words):
            with open("noted", "a") as file:
                print(os.getpid(), there, *words, file=file)
        @pytest.mark.parametrize("size", [3, 3000])
        def test_equal(repro, size):
            note(*repro.setting.values())
            repro.record(drawn=np.random.rand(size), own=repro.rng().integers(9, size=size))
            repro.record(text="x", nested={"b": [1, 2.5], "a": np.float32(1)})
        def test_locals():
            x = np.linspace(0, 1, 500) ** 2
        def test_differs(repro):
            repro.record(small=np.full(3, there), large=np.arange(1000) * there)
        def test_breaks(repro):
            repro.record(x=1)
            assert there == VERSION
        def test_close(repro):
            repro.record(x=svd.values())
        @pytest.mark.reproducible(rtol=0, atol=0)
        def test_bits(repro):
            repro.record(x=svd.values())
        """.replace("VERSION", str(sys.version_info.minor)),
        f"--repro-vary=machine=here,{spec}",
        subprocess=True,
    )
    said = "import svd; print(svd.values().tobytes().hex())"
    bits = {subprocess.check_output([python, "-c", said]) for python in (sys.executable, other)}
    word = "reproduced" if len(bits) == 1 else "diverged"
    assert result.verdicts == {
        "test_equal[3]": "reproduced", "test_equal[3000]": "reproduced", "test_locals": "reproduced",
        "test_differs": "diverged", "test_breaks": "diverged", "test_close": "reproduced", "test_bits": word,
    }  # fmt: skip
    told = [line.split() for line in Path("noted").read_text().splitlines()]
    assert len({pid for pid, *_ in told}) == 2
    assert {tuple(words) for _, *words in told} == {
        (str(sys.version_info.minor), "here"), (versions[1].split(".")[1], spec),
    }  # fmt: skip
    _, differs, breaks = (f"{part}  replay" for part in result.text.split("_ test_")[:3])
    assert f"differs between here and {spec}: max abs " in differs
    assert f"  large   int64[1000]   differs on {spec}\n    999 of 1,000 elements" in differs
    for text in (differs, breaks):
        assert all(line in text for line in unlike(versions, spec))
    assert "  outcome    run 1 passed, run 2 passed, popen" in breaks
    run = by_name(result)["test_differs"]["runs"][2]
    assert (run["value"], run["environment"]["numpy"]) == (spec, versions[0])
    if word == "diverged":
        result.check(says=["test_bits is not reproducible (bit for bit, 2 runs", *unlike(versions, spec)])


def test_missing_modules_of_the_other_interpreter_are_reported(
    project: Project, bare: str, other: str
) -> None:
    if subprocess.run([bare, "-c", "import pytest, pytest_repro"], capture_output=True).returncode == 0:
        pytest.skip("the other interpreter has what it needs by itself")
    project.write(
        test_imports=f"""
        import sys
        if sys.version_info[1] != {sys.version_info.minor}:
            raise ImportError("only made for the Python of here")
        def test_imports(repro): repro.record(x=1)
        """
    )
    result = project(
        f"""
        import pytest
        def on(python):
            return pytest.mark.reproducible(machine=f"popen//python={{python}}")
        @on({bare!r})
        def test_bare(repro): repro.record(x=1)
        @on("no-such-python")
        def test_nowhere(repro): repro.record(x=1)
        @on({other!r})
        def test_there(repro): repro.record(x=1)
        """,
        f"--repro-vary=machine=popen//python={other}",
        "test_imports.py",
        subprocess=True,
    ).check(failed=1, says=["collected 0 tests", "only made for the Python of here"])
    assert set(result.verdicts.values()) == {"failed"}
    result = project.again("test_it.py", subprocess=True).check(passed=1, failed=2)
    assert result.verdicts == {"test_bare": "failed", "test_nowhere": "failed", "test_there": "reproduced"}
    for python, why in ((bare, "has no module pytest"), ("no-such-python", "could not be started: ")):
        result.check(says=[f"was not compared: the companion for popen//python={python} ", why])


def test_check_calls_a_function_in_the_other_interpreter(
    other: str, versions: tuple[str, str], write_module: Callable[[str, str], Any]
) -> None:
    made_for_machines = write_module(
        "made_for_machines",
        """
        import sys, numpy as np
        def ramp(size): return np.arange(size) / 7
        def version(): return sys.version_info.minor
        """,
    )
    spec = f"popen//python={other}"
    verdict = check(made_for_machines.ramp, 1000, machine=("here", spec), rtol=0, atol=0)
    assert (verdict.outcome, verdict.runs[2].value) == ("reproduced", spec)
    assert verdict.runs[2].environment_diff["numpy"] == (np.__version__, versions[0])
    with pytest.raises(NotReproducible) as caught:
        assert_reproducible(made_for_machines.version, machine=("here", spec))
    assert all(line in str(caught.value) for line in unlike(versions, spec))

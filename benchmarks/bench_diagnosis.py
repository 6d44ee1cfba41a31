"""What a diagnosis costs: each program beside itself with ``--repro-diagnose=never``.

python benchmarks/bench_diagnosis.py [catalogue] [readme] [same] [--quick]

Prints the cause, its line, the seconds of the diagnosis, the runs of the body and the interpreters that were
started for it, and the processor time of the session as a multiple of that without a diagnosis: the median
of sessions without and with one in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from _sessions import REPRO

import pytest  # isort: skip

_ROOT = Path(__file__).resolve().parents[1]
_PROGRAMS = _ROOT / "tests" / "plugin" / "diagnosis" / "programs"
_WITHOUT_INTERPRETER = {
    "world": (
        "noise_in_training", "bootstrap", "run_name", "shuffled_loader", "seeded_by_the_time",
        "report_with_a_date", "files_of_a_folder", "classes_of_folders", "padding", "first_come",
    ),
    "kernels": ("gathered", "counted"),
}  # fmt: skip
"""File → tests of causes that this process can establish."""

_WITH_INTERPRETER = {
    "state": (
        "history_grows", "cached", "running_mean", "dtype_left_set", "default_argument",
        "an_iterator_moves_on",
    ),
    "world": ("vocabulary", "labels", "modules_in_a_set", "sorted_by_address", "named_by_its_process"),
    "several": ("one_of_three_generators", "buffers"),
}  # fmt: skip
_WITH_LIBRARIES = {
    "libraries": ("pandas", "polars", "scipy", "sklearn", "gymnasium_reset", "gymnasium_sample", "h5py"),
}
"""As above, of other libraries; a program whose library is not installed has no cause."""

_ROUNDS = 5
_README = """import numpy as np, torch
def jitter(images):
    return images + torch.from_numpy(np.random.default_rng().normal(0, 0.01, images.shape)).float()
def test_training(repro):
    model = torch.nn.Linear(64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(20):
        images, labels = torch.rand(32, 64), torch.randint(10, (32,))
        images = jitter(images) if step >= 5 else images
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        repro.record(loss=loss)
"""
_SAME = """import numpy as np, pytest
def helper():
    return np.random.default_rng().normal(size=1000)
@pytest.mark.parametrize("number", range({tests}))
def test_same(repro, number):
    repro.record(x=helper().sum() + number)
"""


@dataclass
class Outcome:
    """What one session showed of its first test.

    Attributes:
        cpu: Processor time of the session and of the interpreters that it started, in seconds.
        seconds: Wall time of all diagnoses.
        runs: Runs of bodies in experiments.
        starts: Interpreters started.
    """

    cause: str = "-"
    location: str = ""
    cpu: float = 0.0
    seconds: float = 0.0
    runs: int = 0
    starts: int = 0


@contextmanager
def _counting(outcome: Outcome) -> Iterator[None]:
    """Counts experiments' runs and interpreters started in the block."""
    from pytest_repro.companions.companion import Companion
    from pytest_repro.engine.diagnose import ExperimentBudget

    run_experiment, start = ExperimentBudget.run_experiment, Companion.__init__

    def count_runs(*args: Any, **named: Any) -> Any:
        result = run_experiment(*args, **named)
        outcome.runs += result.run_count
        return result

    def count_start(*args: Any, **named: Any) -> None:
        outcome.starts += 1
        start(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExperimentBudget, "run_experiment", count_runs)
        patch.setattr(Companion, "__init__", count_start)
        yield


def run_session(folder: Path, test: str, when: str) -> Outcome:
    """Runs *test* in a fork, with ``--repro-diagnose`` as *when* says."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os._exit(_run_in_child(folder, test, when, write))
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return Outcome(**json.loads(text))


def _run_in_child(folder: Path, test: str, when: str, write: int) -> int:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.chdir(folder)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    outcome = Outcome()
    options = ["-q", "-p", "no:cacheprovider", f"--repro-diagnose={when}", "--repro-json=report.json"]
    with _counting(outcome):
        pytest.main([*options, *REPRO, test])
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    outcome.cpu = sum(each.ru_utime + each.ru_stime for each in spent)
    rows = json.loads(Path("report.json").read_text())["tests"]
    outcome.seconds = sum(row.get("diagnosis_seconds", 0.0) for row in rows)
    cause: dict[str, str] = next((row["cause"] for row in rows if "cause" in row), {})
    outcome.cause, outcome.location = cause.get("name", "-"), cause.get("location", "")
    os.write(write, json.dumps(asdict(outcome)).encode())
    return 0


def measure(folder: Path, test: str, name: str, rounds: int = 1) -> None:
    """Prints the line of one program."""
    ratios = []
    for _ in range(rounds):
        plain, found = (run_session(folder, test, when) for when in ("never", "always"))
        ratios.append(found.cpu / max(plain.cpu, 1e-3))
    ratio = statistics.median(ratios)
    numbers = f"{found.seconds:7.2f}{found.runs:6}{found.starts:8}{ratio:8.2f}"
    print(f"  {name:34}{found.cause:22}{found.location:22}{numbers}", flush=True)


def _print_head(title: str, target: str) -> None:
    print(f"{title} (target: {target})")
    print(f"  {'program':34}{'cause':22}{'line':22}seconds  runs  starts   ratio")


def measure_catalogue(folder: Path, quick: bool) -> None:
    """Programs of every cause."""
    shutil.copy(_PROGRAMS / "net.py", folder)
    for name in ("world", "state", "kernels", "several", "libraries"):
        shutil.copy(_PROGRAMS / f"{name}.py", folder / f"test_{name}.py")
    groups = (
        ("without an interpreter", "8 runs, no start", _WITHOUT_INTERPRETER),
        ("of other libraries", "8 runs, no start", _WITH_LIBRARIES),
        ("with one", "12 runs, 1 start; 3 for hash seeds and addresses", _WITH_INTERPRETER),
    )
    for title, target, programs in groups:
        _print_head(title, target)
        tests = [(file, test) for file, tests in programs.items() for test in tests]
        for file, test in tests[: 1 if quick else None]:
            measure(folder, f"test_{file}.py::test_{test}", test)


def measure_readme(folder: Path, quick: bool) -> None:
    """The example of the README."""
    _print_head("the README's example", "ratio 1.3")
    (folder / "test_step.py").write_text(_README)
    measure(folder, "test_step.py", "training", 1 if quick else _ROUNDS)


def measure_same(folder: Path, quick: bool) -> None:
    """Tests that diverge by the same call."""
    tests = 2 if quick else 100
    _print_head(f"{tests} tests that diverge by one helper", "ratio 1.5")
    (folder / "test_same.py").write_text(_SAME.format(tests=tests))
    measure(folder, "test_same.py", "same", 1 if quick else _ROUNDS)


PARTS = {"catalogue": measure_catalogue, "readme": measure_readme, "same": measure_same}


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of a diagnosis")
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="one program of each kind")
    options = parser.parse_args()
    sys.path.insert(0, str(_ROOT))
    if options.quick:
        import torch  # noqa: F401  # once, not in each fork
    with tempfile.TemporaryDirectory() as root:
        for part in options.parts or PARTS:
            folder = Path(root) / part
            folder.mkdir()
            (folder / "pytest.ini").write_text("[pytest]\n")
            PARTS[part](folder, options.quick)


if __name__ == "__main__":
    main()

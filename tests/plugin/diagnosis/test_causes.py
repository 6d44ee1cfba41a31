"""Programs that differ, by cause: the cause, op and lines that are reported; and reproducible programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Project, Result
from tests.plugin.diagnosis.programs.texts import GOLDEN, read_failures, read_golden

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

PROGRAMS = Path(__file__).with_name("programs")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Reported(NamedTuple):
    """The cause and divergence in the report; lines by their text, ``""`` if there is none."""

    cause: str
    cause_line: str
    kind: str = ""
    op: str = ""
    line: str = ""
    forward_line: str = ""


WORLD = {
    "test_noise_in_training": Reported(
        "os-entropy", "noise = np.random.default_rng().normal(size=tuple(batch.shape))",
        "input", "from numpy", "return batch + torch.from_numpy(noise).float() * 0.1",
    ),
    "test_bootstrap": Reported(
        "os-entropy", "generator = random.Random()",
        "input", "record mean", "repro.record(mean=sum(sample) / len(sample))",
    ),
    "test_run_name": Reported(
        "os-entropy", 'name = f"run-{uuid.uuid4().hex[:8]}"',
        "input", "record name", "repro.record(name=name)",
    ),
    "test_shuffled_loader": Reported(
        "os-entropy", "generator.seed()",
        "input", "aten.random_.default", "repro.record(first=next(iter(loader)))",
    ),
    "test_temporary_folder": Reported(
        "os-entropy", "with tempfile.TemporaryDirectory() as folder:",
        "input", "record config['folder']", 'repro.record(config={"folder": folder, "width": 4})',
    ),
    "test_seeded_by_the_time": Reported(
        "clock", "torch.manual_seed(time.time_ns() % 2**32)",
        "input", "aten.uniform_.default", "repro.record(weight=torch.nn.Linear(3, 3).weight)",
    ),
    "test_report_with_a_date": Reported(
        "clock", 'report = {"accuracy": 0.5, "made": datetime.datetime.now().isoformat()}',
        "input", "record report['made']", "repro.record(report=report)",
    ),
    "test_steps_in_a_budget": Reported(
        "clock", "end, total = time.perf_counter() + 0.02, torch.zeros(3)", "path", "*", "*",
    ),
    "test_vocabulary": Reported(
        "hash-seed", "return {word: number for number, word in enumerate(set(text.split()))}",
        "input", "from Python", 'index = torch.tensor([places[word] for word in ["cat", "dog", "mat"]])',
    ),
    "test_hashed_features": Reported(
        "hash-seed", "found[hash(word) % width] += 1",
        "input", "record features",
        'repro.record(features=net.hashed(["the", "cat", "sat", "on", "the", "mat"], 64))',
    ),
    "test_labels": Reported(
        "hash-seed", 'repro.record(order=",".join(labels))',
        "input", "record order", 'repro.record(order=",".join(labels))',
    ),
    "test_modules_in_a_set": Reported(
        "address-order", "widths = [layer.in_features for layer in layers]",
        "input", "record widths[0]", "repro.record(widths=widths)",
    ),
    "test_sorted_by_address": Reported(
        "address-order", "queue = sorted(jobs, key=id)",
        "input", "record cost", "repro.record(cost=net.settled(job.cost for job in queue))",
    ),
    "test_files_of_a_folder": Reported(
        "file-order", "texts = [path.read_text() for path in tmp_path.iterdir()]",
        "input", "record texts[0]", "repro.record(texts=texts)",
    ),
    "test_classes_of_folders": Reported(
        "file-order", "classes = {name: number for number, name in enumerate(os.listdir(tmp_path))}",
        "input", "from Python",
        'repro.record(target=torch.tensor([classes["cat"], classes["owl"]]))',
    ),
    "test_padding": Reported(
        "uninitialised-memory", "found = np.empty((len(rows), width))",
        "input", "from numpy", "repro.record(mean=torch.from_numpy(rows).mean())",
    ),
    "test_buffer": Reported("uninitialised-memory", "buffer = torch.empty(8)", "*", "*", "*"),
    "test_first_come": Reported(
        "completion-order",
        "done = [future.result() for future in concurrent.futures.as_completed(futures)]",
        "input", "*", "repro.record(done=done)",
    ),
    "test_threads_add_up": Reported(
        "completion-order", "thread.start()",
        "input", "record total", "repro.record(total=net.settled(total))",
    ),
    "test_answers_as_they_come": Reported(
        "completion-order",
        "return [await each for each in asyncio.as_completed([_answered(n) for n in range(40)])]",
        "input", "*", "repro.record(answers=asyncio.run(_answers()))",
    ),
    "test_named_by_its_process": Reported(
        "process", 'name = f"shard-{os.getpid()}"', "input", "record name", "repro.record(name=name)",
    ),
    "test_seeded_by_its_process": Reported(
        "process", "rank = os.getpid() % 10_007",
        "input", "aten.randn.default", "repro.record(noise=torch.randn(4))",
    ),
    "test_another_program": Reported(
        "unknown", "*", "input", "record number", "repro.record(number=int(said.stdout))",
    ),
    "test_read_from_a_device": Reported(
        "unknown", "noise = np.frombuffer(stream.read(16), np.uint8)",
        "input", "record noise", "repro.record(noise=noise)",
    ),
    "test_stamped_noise": Reported(
        "os-entropy", "noise = np.random.default_rng().normal()",
        "input", "record noise", "repro.record(noise=noise, stamp=stamp)",
    ),
}  # fmt: skip

STATE = {
    "test_history_grows": Reported(
        "shared-state", "HISTORY: list[float] = []",
        "input", "record average", "repro.record(average=sum(HISTORY) / (len(HISTORY) + 1))",
    ),
    "test_cached": Reported(
        "shared-state", "PLACES: dict[str, int] = {}",
        "path", "aten.rand.default", "draws = torch.rand(2) if hit else torch.rand(2) + torch.rand(2)",
    ),
    "test_cached_by_functools": Reported(
        "shared-state", "def tokens(word: str, seen: int) -> list[str]:",
        "input", "record found", "repro.record(found=before)",
    ),
    "test_trains_a_module_fixture": Reported(
        "shared-state", '@pytest.fixture(scope="module")',
        "input", "aten.addmm.default", "loss = model(torch.randn(8, 4)).pow(2).mean()",
    ),
    "test_running_mean": Reported(
        "shared-state", "NORM = torch.nn.BatchNorm1d(4)",
        "input", "aten.add_.Tensor", "NORM(torch.randn(8, 4))",
    ),
    "test_normalises_a_parameter[weights0]": Reported(
        "shared-state", '@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0]])',
        "input", "record weights[0]", "repro.record(weights=list(weights))",
    ),
    "test_dtype_left_set": Reported(
        "shared-state", "torch.set_default_dtype(torch.float64)", "value", "*",
        "model = torch.nn.Linear(3, 1)",
    ),
    "test_default_argument": Reported(
        "shared-state", "def collected(item: float, into: list[float] = []) -> list[float]:  # noqa: B006",
        "length", "record items[1]", "repro.record(items=net.collected(1.0))",
    ),
    "test_library_seeds_once": Reported(
        "shared-state", "ready = False", "input", "record draw", "repro.record(draw=random.random())",
    ),
    "test_an_iterator_moves_on": Reported(
        "shared-state", "STEPS = iter(range(1000))",
        "input", "record step", "repro.record(step=next(STEPS))",
    ),
    "test_results_in_a_file": Reported(
        "shared-state", 'path.write_text((path.read_text() if path.exists() else "") + "1\\n")',
        "input", "record lines", "repro.record(lines=len(path.read_text().splitlines()))",
    ),
}  # fmt: skip

KERNELS = {
    "test_gathered": Reported(
        "nondeterministic-op", "return self.table[index]",
        "value", "aten.index_put.default", "loss.backward()", "return self.table[index]",
    ),
    "test_counted": Reported(
        "nondeterministic-op", "found.put_(places, values, accumulate=True)",
        "value", "aten.put_.default", "found.put_(places, values, accumulate=True)",
    ),
    "test_squared": Reported(
        "threads", "norm = torch.dot(weights, weights)",
        "value", "aten.dot.default", "norm = torch.dot(weights, weights)",
    ),
    "test_convolved": Reported("threads", "*", "value", "*", "*"),
    "test_difference_of_squares": Reported("dtype", ""),
    "test_drawn": Reported("dtype", ""),
    "test_exponentials": Reported("isa", "*", "value", "*", "*"),
    "test_drawn_normal": Reported("isa", "*", "*", "aten.randn.default", "*"),
}  # fmt: skip
RACES = {"test_gathered", "test_counted", "test_squared", "test_convolved"}

SECOND = {
    "test_second_exp": Reported("device", ""),
    "test_second_tanh": Reported("device", ""),
}


def run_programs(project: Project, *files: str) -> Result:
    """Runs the programs in *files* in one session."""
    folder, project.inquires = project.pytester.path, True
    folder.joinpath("net.py").write_text((PROGRAMS / "net.py").read_text())
    for name in files:
        folder.joinpath(f"test_{name}.py").write_text((PROGRAMS / f"{name}.py").read_text())
    return project.again(subprocess=True)


def read_line(folder: Path, location: str | None) -> str:
    """The text of the line at *location*, ``"file.py:12"``."""
    if not location:
        return ""
    file, _, number = location.rpartition(":")
    return (folder / file).read_text().splitlines()[int(number) - 1].strip()


def read_report(result: Result) -> dict[str, Reported]:
    """The reported causes, by test name, without tests that are reproducible."""
    reported = {}
    for test in result.report["tests"]:
        cause, divergence = test.get("cause", {}), test.get("divergence", {})
        if test["verdict"] != "reproduced" or cause:
            reported[test["nodeid"].split("::", 1)[1]] = Reported(
                cause.get("name", ""),
                read_line(result.folder, cause.get("location")),
                divergence.get("kind", ""),
                divergence.get("op", ""),
                read_line(result.folder, divergence.get("location")),
                read_line(result.folder, divergence.get("forward_location")),
            )
    return reported


def list_errors(expected: Mapping[str, Reported], reported: Mapping[str, Reported]) -> list[str]:
    """One line for each field that differs from *expected*, where ``*`` stands for anything."""
    errors = [f"{name}: unexpected {reported[name]}" for name in reported if name not in expected]
    for name, row in expected.items():
        errors += [
            f"{name}: {field} should be {expected_value!r}, is {value!r}"
            for field, expected_value, value in zip(row._fields, row, reported.get(name, Reported("", "")))
            if expected_value not in (value, "*")
        ]
    return errors


def test_programs_by_cause(project: Project) -> None:
    result = run_programs(project, "world", "state", "kernels", "reproducible")
    expected = {**WORLD, **STATE, **KERNELS}
    reported = read_report(result)
    races = RACES - reported.keys()  # on one core, or on busy ones, threads may not race
    assert races != RACES or CORES < 2, "no race was found"
    errors = list_errors({name: row for name, row in expected.items() if name not in races}, reported)
    assert not errors, "\n".join(errors)
    assert sum(test["verdict"] == "reproduced" for test in result.report["tests"]) >= 11
    file_test = next(test for test in result.report["tests"] if test["nodeid"].endswith("in_a_file"))
    assert "file results.txt" in file_test["cause"]["explanation"]
    failures = read_failures(result)
    for name in GOLDEN:
        if name not in races:
            assert failures[name] == read_golden(name)


def test_a_second_device(project: Project) -> None:
    torch = pytest.importorskip("torch")
    if not hasattr(getattr(torch._C, "_acc", None), "create_empty_tensor"):
        pytest.skip("needs a torch in which Python code can define a second device")
    source = (Path(__file__).parents[2] / "axes" / "second_device.py").read_text()
    project.write(second_device=source, conftest="import second_device")
    project.inquires = True
    project.imported = ["torch"]
    project.pytester.makepyfile(
        test_it="""
        import pytest, torch
        varied = pytest.mark.reproducible(device=("cpu", "second"), rtol=0, atol=0)
        @varied
        def test_second_exp(repro):
            repro.record(value=torch.linspace(0.1, 1, 8).to(repro.device).exp())
        @varied
        def test_second_tanh(repro):
            repro.record(value=torch.linspace(0.1, 1, 8).to(repro.device).tanh())
        """
    )
    result = project.again("-W", "error", subprocess=True)
    errors = list_errors(SECOND, read_report(result))
    assert not errors, "\n".join(errors)

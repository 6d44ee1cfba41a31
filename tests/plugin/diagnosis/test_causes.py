"""Programs that differ, by cause: which cause, op and lines are told; and some of which nothing is said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Project, Result
from tests.plugin.diagnosis.programs.texts import GOLDEN, golden, texts

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

PROGRAMS = Path(__file__).with_name("programs")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Told(NamedTuple):
    """What the report says of a program; lines are given by their text, ``""`` where there is none."""

    cause: str
    at: str
    kind: str = ""
    op: str = ""
    parted: str = ""
    forward: str = ""


WORLD = {
    "test_noise_in_training": Told(
        "os-entropy", "noise = np.random.default_rng().normal(size=tuple(batch.shape))",
        "input", "from numpy", "return batch + torch.from_numpy(noise).float() * 0.1",
    ),
    "test_bootstrap": Told(
        "os-entropy", "generator = random.Random()",
        "input", "record mean", "repro.record(mean=sum(sample) / len(sample))",
    ),
    "test_run_name": Told(
        "os-entropy", 'name = f"run-{uuid.uuid4().hex[:8]}"',
        "input", "record name", "repro.record(name=name)",
    ),
    "test_shuffled_loader": Told(
        "os-entropy", "generator.seed()",
        "input", "aten.random_.default", "repro.record(first=next(iter(loader)))",
    ),
    "test_temporary_folder": Told(
        "os-entropy", "with tempfile.TemporaryDirectory() as folder:",
        "input", "record config['folder']", 'repro.record(config={"folder": folder, "width": 4})',
    ),
    "test_seeded_by_the_time": Told(
        "clock", "torch.manual_seed(time.time_ns() % 2**32)",
        "input", "aten.uniform_.default", "repro.record(weight=torch.nn.Linear(3, 3).weight)",
    ),
    "test_report_with_a_date": Told(
        "clock", 'report = {"accuracy": 0.5, "made": datetime.datetime.now().isoformat()}',
        "input", "record report['made']", "repro.record(report=report)",
    ),
    "test_steps_in_a_budget": Told(
        "clock", "end, total = time.perf_counter() + 0.02, torch.zeros(3)", "path", "*", "*",
    ),
    "test_vocabulary": Told(
        "hash-seed", "return {word: number for number, word in enumerate(set(text.split()))}",
        "input", "from Python", 'index = torch.tensor([places[word] for word in ["cat", "dog", "mat"]])',
    ),
    "test_hashed_features": Told(
        "hash-seed", "found[hash(word) % width] += 1",
        "input", "record features",
        'repro.record(features=net.hashed(["the", "cat", "sat", "on", "the", "mat"], 64))',
    ),
    "test_labels": Told(
        "hash-seed", 'repro.record(order=",".join(labels))',
        "input", "record order", 'repro.record(order=",".join(labels))',
    ),
    "test_modules_in_a_set": Told(
        "address-order", "widths = [layer.in_features for layer in layers]",
        "input", "record widths[0]", "repro.record(widths=widths)",
    ),
    "test_sorted_by_address": Told(
        "address-order", "queue = sorted(jobs, key=id)",
        "input", "record cost", "repro.record(cost=net.settled(job.cost for job in queue))",
    ),
    "test_files_of_a_folder": Told(
        "file-order", "texts = [path.read_text() for path in tmp_path.iterdir()]",
        "input", "record texts[0]", "repro.record(texts=texts)",
    ),
    "test_classes_of_folders": Told(
        "file-order", "classes = {name: number for number, name in enumerate(os.listdir(tmp_path))}",
        "input", "from Python",
        'repro.record(target=torch.tensor([classes["cat"], classes["owl"]]))',
    ),
    "test_padding": Told(
        "uninitialised-memory", "found = np.empty((len(rows), width))",
        "input", "from numpy", "repro.record(mean=torch.from_numpy(rows).mean())",
    ),
    "test_buffer": Told("uninitialised-memory", "buffer = torch.empty(8)", "*", "*", "*"),
    "test_first_come": Told(
        "completion-order",
        "done = [future.result() for future in concurrent.futures.as_completed(futures)]",
        "input", "*", "repro.record(done=done)",
    ),
    "test_threads_add_up": Told(
        "completion-order", "thread.start()",
        "input", "record total", "repro.record(total=net.settled(total))",
    ),
    "test_answers_as_they_come": Told(
        "completion-order",
        "return [await each for each in asyncio.as_completed([_answered(n) for n in range(40)])]",
        "input", "*", "repro.record(answers=asyncio.run(_answers()))",
    ),
    "test_named_by_its_process": Told(
        "process", 'name = f"shard-{os.getpid()}"', "input", "record name", "repro.record(name=name)",
    ),
    "test_seeded_by_its_process": Told(
        "process", "rank = os.getpid() % 10_007",
        "input", "aten.randn.default", "repro.record(noise=torch.randn(4))",
    ),
    "test_another_program": Told(
        "unknown", "*", "input", "record number", "repro.record(number=int(said.stdout))",
    ),
    "test_read_from_a_device": Told(
        "unknown", "noise = np.frombuffer(stream.read(16), np.uint8)",
        "input", "record noise", "repro.record(noise=noise)",
    ),
    "test_stamped_noise": Told(
        "os-entropy", "noise = np.random.default_rng().normal()",
        "input", "record noise", "repro.record(noise=noise, stamp=stamp)",
    ),
}  # fmt: skip

STATE = {
    "test_history_grows": Told(
        "shared-state", "HISTORY: list[float] = []",
        "input", "record average", "repro.record(average=sum(HISTORY) / (len(HISTORY) + 1))",
    ),
    "test_cached": Told(
        "shared-state", "PLACES: dict[str, int] = {}",
        "path", "aten.rand.default", "draws = torch.rand(2) if hit else torch.rand(2) + torch.rand(2)",
    ),
    "test_cached_by_functools": Told(
        "shared-state", "def tokens(word: str, seen: int) -> list[str]:",
        "input", "record found", "repro.record(found=before)",
    ),
    "test_trains_a_module_fixture": Told(
        "shared-state", '@pytest.fixture(scope="module")',
        "input", "aten.addmm.default", "loss = model(torch.randn(8, 4)).pow(2).mean()",
    ),
    "test_running_mean": Told(
        "shared-state", "NORM = torch.nn.BatchNorm1d(4)",
        "input", "aten.add_.Tensor", "NORM(torch.randn(8, 4))",
    ),
    "test_normalises_a_parameter[weights0]": Told(
        "shared-state", '@pytest.mark.parametrize("weights", [[1.0, 2.0, 3.0]])',
        "input", "record weights[0]", "repro.record(weights=list(weights))",
    ),
    "test_dtype_left_set": Told(
        "shared-state", "torch.set_default_dtype(torch.float64)", "value", "*",
        "model = torch.nn.Linear(3, 1)",
    ),
    "test_default_argument": Told(
        "shared-state", "def collected(item: float, into: list[float] = []) -> list[float]:  # noqa: B006",
        "length", "record items[1]", "repro.record(items=net.collected(1.0))",
    ),
    "test_library_seeds_once": Told(
        "shared-state", "ready = False", "input", "record draw", "repro.record(draw=random.random())",
    ),
    "test_an_iterator_moves_on": Told(
        "shared-state", "STEPS = iter(range(1000))",
        "input", "record step", "repro.record(step=next(STEPS))",
    ),
    # Fresh processes find the file as well: it is told, and not taken for established.
    "test_results_in_a_file": Told("unknown", "*", "input", "record lines", "*"),
}  # fmt: skip

KERNELS = {
    "test_gathered": Told(
        "nondeterministic-op", "return self.table[index]",
        "value", "aten.index_put.default", "loss.backward()", "return self.table[index]",
    ),
    "test_counted": Told(
        "nondeterministic-op", "found.put_(places, values, accumulate=True)",
        "value", "aten.put_.default", "found.put_(places, values, accumulate=True)",
    ),
    "test_squared": Told(
        "threads", "norm = torch.dot(weights, weights)",
        "value", "aten.dot.default", "norm = torch.dot(weights, weights)",
    ),
    "test_convolved": Told("threads", "*", "value", "*", "*"),
    "test_difference_of_squares": Told("dtype", ""),
    "test_drawn": Told("dtype", ""),
    "test_exponentials": Told("isa", "*", "value", "*", "*"),
    "test_drawn_normal": Told("isa", "*", "*", "aten.randn.default", "*"),
}  # fmt: skip
RACES = {"test_gathered", "test_counted", "test_squared", "test_convolved"}

SECOND = {
    "test_second_exp": Told("device", ""),
    "test_second_tanh": Told("device", ""),
}


def run(project: Project, *files: str) -> Result:
    """Runs the programs of *files* in one session."""
    folder, project.inquires = project.pytester.path, True
    folder.joinpath("net.py").write_text((PROGRAMS / "net.py").read_text())
    for name in files:
        folder.joinpath(f"test_{name}.py").write_text((PROGRAMS / f"{name}.py").read_text())
    return project.again(subprocess=True)


def line(folder: Path, location: str | None) -> str:
    """The text of the line at *location*."""
    if not location:
        return ""
    file, _, number = location.rpartition(":")
    return (folder / file).read_text().splitlines()[int(number) - 1].strip()


def told(result: Result) -> dict[str, Told]:
    """What the report says, by test name; nothing of those that are reproducible."""
    found = {}
    for test in result.report["tests"]:
        cause, parted = test.get("cause", {}), test.get("divergence", {})
        at, here, forward = (
            line(result.folder, each)
            for each in (cause.get("location"), parted.get("location"), parted.get("forward_location"))
        )
        if test["verdict"] != "reproduced" or cause:
            name = test["nodeid"].split("::", 1)[1]
            row = (cause.get("name", ""), at, parted.get("kind", ""), parted.get("op", ""), here, forward)
            found[name] = Told(*row)
    return found


def wrong(expected: Mapping[str, Told], given: Mapping[str, Told]) -> list[str]:
    """What was told otherwise than expected, a line each; ``*`` stands for anything."""
    lines = [f"{name}: nothing should be said, but {given[name]}" for name in given if name not in expected]
    for name, row in expected.items():
        other: Any = given.get(name, Told("", ""))
        lines += [
            f"{name}: {field} should be {mine!r}, is {its!r}"
            for field, mine, its in zip(Told._fields, row, other)
            if mine not in (its, "*")
        ]
    return lines


def test_programs_by_cause(project: Project) -> None:
    result = run(project, "world", "state", "kernels", "reproducible")
    expected = {**WORLD, **STATE, **KERNELS}
    races = RACES if CORES < 2 else set()  # on one core threads hardly race
    given = {name: row for name, row in told(result).items() if name not in races}
    lines = wrong({name: row for name, row in expected.items() if name not in races}, given)
    assert not lines, "\n".join(lines)
    assert sum(test["verdict"] == "reproduced" for test in result.report["tests"]) >= 11
    file = next(each for each in result.report["tests"] if each["nodeid"].endswith("in_a_file"))
    assert "file results.txt" in file["cause"]["explanation"]
    found = texts(result)
    for name in GOLDEN:
        if name not in races:
            assert found[name] == golden(name)


def test_a_second_device(project: Project) -> None:
    torch = pytest.importorskip("torch")
    if not hasattr(getattr(torch._C, "_acc", None), "create_empty_tensor"):
        pytest.skip("this torch lets no second device be made in Python")
    made = (Path(__file__).parents[1] / "axes" / "second_device.py").read_text()
    project.write(second_device=made, conftest="import second_device")
    project.inquires = True
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
    lines = wrong(SECOND, told(result))
    assert not lines, "\n".join(lines)

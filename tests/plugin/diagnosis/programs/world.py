"""Programs that take something from outside."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import os
import random
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import net
import numpy as np
import pytest
import torch

varied = pytest.mark.reproducible


def test_noise_in_training(repro: Any) -> None:
    model = torch.nn.Linear(8, 1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(4):
        batch = net.augmented(torch.randn(16, 8), step)
        loss = model(batch).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        repro.record(loss=loss)


def test_bootstrap(repro: Any) -> None:
    scores = [0.1 * number for number in range(50)]
    generator = random.Random()
    sample = generator.choices(scores, k=50)
    repro.record(mean=sum(sample) / len(sample))


def test_run_name(repro: Any) -> None:
    name = f"run-{uuid.uuid4().hex[:8]}"
    repro.record(name=name)


def test_shuffled_loader(repro: Any) -> None:
    generator = torch.Generator()
    generator.seed()
    numbers: Any = list(range(64))
    loader: Any = torch.utils.data.DataLoader(numbers, 8, shuffle=True, generator=generator)
    repro.record(first=next(iter(loader)))


def test_seeded_by_the_time(repro: Any) -> None:
    torch.manual_seed(time.time_ns() % 2**32)
    repro.record(weight=torch.nn.Linear(3, 3).weight)


def test_report_with_a_date(repro: Any) -> None:
    report = {"accuracy": 0.5, "made": datetime.datetime.now().isoformat()}
    repro.record(report=report)


def test_steps_in_a_budget(repro: Any) -> None:
    end, total = time.perf_counter() + 0.02, torch.zeros(3)
    while time.perf_counter() < end:
        total = total + 1
    repro.record(total=total)


@varied(process=True)
def test_vocabulary(repro: Any) -> None:
    places = net.vocabulary("the cat sat on the mat and the dog sat by the door")
    index = torch.tensor([places[word] for word in ["cat", "dog", "mat"]])
    repro.record(vectors=torch.randn(12, 4)[index])


@varied(process=True)
def test_hashed_features(repro: Any) -> None:
    repro.record(features=net.hashed(["the", "cat", "sat", "on", "the", "mat"], 64))


@varied(process=True)
def test_labels(repro: Any) -> None:
    labels = {"setosa", "versicolor", "virginica", "unknown", "other"}
    repro.record(order=",".join(labels))


@varied(process=True)
def test_modules_in_a_set(repro: Any) -> None:
    layers = {torch.nn.Linear(width, 1) for width in range(1, 25)}
    widths = [layer.in_features for layer in layers]
    repro.record(widths=widths)


class Job:
    """An object without an order."""

    def __init__(self, cost: float) -> None:
        self.cost = cost


@varied(process=True)
def test_sorted_by_address(repro: Any) -> None:
    jobs = [Job(float(number)) for number in range(200)]
    for number in range(0, 200, 3):
        jobs[number] = Job(number / 7)
    queue = sorted(jobs, key=id)
    repro.record(cost=net.settled(job.cost for job in queue))


@varied(order=True)
def test_files_of_a_folder(repro: Any, tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text(f"{number}")
    texts = [path.read_text() for path in tmp_path.iterdir()]
    repro.record(texts=texts)


@varied(order=True)
def test_classes_of_folders(repro: Any, tmp_path: Path) -> None:
    for name in ("cat", "dog", "owl", "bee"):
        (tmp_path / name).mkdir()
    classes = {name: number for number, name in enumerate(os.listdir(tmp_path))}
    repro.record(target=torch.tensor([classes["cat"], classes["owl"]]))


@varied(memory=True)
def test_padding(repro: Any) -> None:
    rows = net.padded([[1.0], [1.0, 2.0], [3.0] * 3], 4)
    repro.record(mean=torch.from_numpy(rows).mean())


@varied(memory=True, deterministic=False)
def test_buffer(repro: Any) -> None:
    buffer = torch.empty(8)
    buffer[:6] = torch.ones(6)
    repro.record(total=buffer.clamp(0, 1).sum())


@varied(runs=5)
def test_first_come(repro: Any) -> None:
    def work(number: int) -> int:
        time.sleep(0.001)
        return number

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(work, number) for number in range(40)]
        done = [future.result() for future in concurrent.futures.as_completed(futures)]
    repro.record(done=done)


@varied(runs=5)
def test_threads_add_up(repro: Any) -> None:
    total: list[float] = []

    def work(number: int) -> None:
        time.sleep(0.001)
        total.append(float(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    repro.record(total=net.settled(total))


async def _answered(number: int) -> int:
    await asyncio.to_thread(time.sleep, 0.001)
    return number


async def _answers() -> list[int]:
    return [await each for each in asyncio.as_completed([_answered(n) for n in range(40)])]


@varied(runs=5)
def test_answers_as_they_come(repro: Any) -> None:
    repro.record(answers=asyncio.run(_answers()))


@varied(process=True)
def test_named_by_its_process(repro: Any) -> None:
    name = f"shard-{os.getpid()}"
    repro.record(name=name)


@varied(process=True)
def test_seeded_by_its_process(repro: Any) -> None:
    rank = os.getpid() % 10_007
    torch.manual_seed(rank)
    repro.record(noise=torch.randn(4))


def test_another_program(repro: Any) -> None:
    said = subprocess.run(["od", "-An", "-N4", "-tu4", "/dev/urandom"], capture_output=True, check=True)
    repro.record(number=int(said.stdout))


def test_read_from_a_device(repro: Any) -> None:
    with open("/dev/urandom", "rb") as stream:
        noise = np.frombuffer(stream.read(16), np.uint8)
    repro.record(noise=noise)


def test_stamped_noise(repro: Any) -> None:
    noise = np.random.default_rng().normal()
    stamp = time.time()
    repro.record(noise=noise, stamp=stamp)


def test_temporary_folder(repro: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        repro.record(config={"folder": folder, "width": 4})

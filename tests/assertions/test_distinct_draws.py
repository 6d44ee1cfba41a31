"""Workers that draw the same numbers, epochs that repeat the last: what running again cannot show."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from pytest_repro import assert_distinct_loader_draws, metrics
from tests.conftest import Project

torch = pytest.importorskip("torch")
data: Any = torch.utils.data
OWN = np.random.default_rng(0)


class Noisy(data.Dataset):  # type: ignore[misc]
    """Adds noise to numbers, from a generator of its own unless *draw* is given."""

    def __init__(self, draw: Any = None) -> None:
        self.rng, self.draw = np.random.default_rng(0), draw

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> float:
        return index + float((self.draw or self.rng.random)())


def seeded(worker: int) -> None:
    data.get_worker_info().dataset.rng = np.random.default_rng(torch.initial_seed())


def seeded_by_number(worker: int) -> None:
    np.random.seed(worker)


def failure(loader: Any, epochs: int = 2) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_distinct_loader_draws(loader, epochs)
    return str(caught.value)


@pytest.mark.parametrize("persistent", [False, True])
def test_a_generator_on_the_data_set_is_the_same_in_every_worker(persistent: bool) -> None:
    loader = data.DataLoader(Noisy(), batch_size=2, num_workers=2, persistent_workers=persistent)
    told = failure(loader)
    assert told.startswith("the loader draws the same numbers more than once (2 epochs of 2 workers)\n\n")
    both = "  dataset.rng (numpy.random.Generator): "
    if persistent:  # the workers go on where they were: only the beginning is the same
        assert f"{both}2 distinct of 4 draws, the same: epoch 1 worker 0, epoch 1 worker 1; epoch 2" in told
    else:
        assert f"{both}1 distinct of 4 draws, the same: epoch 1 worker 0, epoch 1 worker 1, epoch 2" in told
    assert "torch.initial_seed()" in told
    assert ("seed in each epoch;" in told, "worker and epoch:" in told) == (not persistent,) * 2


def test_a_worker_seeded_by_its_number_repeats_the_first_epoch() -> None:
    loader = data.DataLoader(Noisy(np.random.rand), 2, num_workers=2, worker_init_fn=seeded_by_number)
    same = "the same: epoch 1 worker 0, epoch 2 worker 0; epoch 1 worker 1, epoch 2 worker 1\n"
    assert f"  numpy.random: 2 distinct of 4 draws, {same}" in failure(loader)


def test_a_global_of_the_users_module_is_copied_too() -> None:
    told = failure(data.DataLoader(Noisy(OWN.random), 2, num_workers=2), epochs=1)
    assert "test_distinct_draws.OWN (numpy.random.Generator): 1 distinct of 2 draws" in told


@pytest.mark.parametrize(
    ("dataset", "init", "generator"),
    [
        (Noisy(), seeded, "dataset.rng (numpy.random.Generator)"),
        (Noisy(np.random.rand), None, "numpy.random"),
        (Noisy(random.random), None, "random"),
        (Noisy(lambda: torch.rand(()).item()), None, "torch cpu"),
    ],
)
def test_what_is_seeded_in_each_worker_and_epoch(dataset: Any, init: Any, generator: str) -> None:
    drawn = assert_distinct_loader_draws(data.DataLoader(dataset, 2, num_workers=2, worker_init_fn=init))
    assert list(drawn.states) == [generator]
    assert len(drawn.states[generator]) == 4
    assert str(drawn) == f"2 epochs of 2 workers draw numbers of their own from {generator}"


class Reseeded(Noisy):
    def __getitem__(self, index: int) -> float:
        if index == 0:
            self.rng = np.random.default_rng(0)
        return super().__getitem__(index)


def by_index(dataset: Any, index: int) -> float:
    np.random.seed(index)
    return float(np.random.rand())


def test_items_seeded_by_their_index_are_not_seen_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Noisy, "__getitem__", by_index)
    assert_distinct_loader_draws(
        data.DataLoader(Noisy(), 2, shuffle=True, generator=torch.Generator().manual_seed(0))
    )
    failure(data.DataLoader(Noisy(), 2))
    epochs = {f"epoch {n}": [by_index(None, i) for i in range(4)] for n in (1, 2)}
    assert str(metrics.duplicates(epochs)).endswith("the same: epoch 1, epoch 2")


def test_without_workers_an_epoch_goes_on_where_the_last_ended() -> None:
    drawn = assert_distinct_loader_draws(data.DataLoader(Noisy(), batch_size=4))
    assert (drawn.workers, list(drawn.states)) == (0, ["dataset.rng (numpy.random.Generator)"])


def test_an_epoch_that_repeats_the_last() -> None:
    told = failure(data.DataLoader(Reseeded(), batch_size=4))
    assert "dataset.rng (numpy.random.Generator): 1 distinct of 2 draws, the same: epoch 1, epoch 2\n" in told
    assert "seeded with the same number at the start of each epoch" in told


def test_nothing_that_moves_is_nothing_compared() -> None:
    assert "observed nothing: no generator moved in 2 epochs of 2 workers" in failure(
        data.DataLoader(list(range(8)), 2, num_workers=2)
    )


def test_an_iterable_data_set() -> None:
    class Stream(data.IterableDataset):  # type: ignore[misc]
        rng = None

        def __iter__(self) -> Any:
            self.rng = self.rng or random.Random(0)
            return (self.rng.random() for _ in range(6))

    stream = Stream()
    stream.rng = random.Random(0)
    assert "dataset.rng (random.Random)" in failure(data.DataLoader(stream, None, num_workers=2))


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_and_generators_are_left_as_they_were(workers: int) -> None:
    dataset = Noisy()
    loader = data.DataLoader(
        dataset, 2, shuffle=True, num_workers=workers, persistent_workers=workers > 0, worker_init_fn=seeded
    )
    if workers:
        next(iter(loader))
    before = vars(loader).copy(), dataset.rng.bit_generator.state, torch.get_rng_state().tolist()
    assert_distinct_loader_draws(loader)
    after = vars(loader).copy(), dataset.rng.bit_generator.state, torch.get_rng_state().tolist()
    assert before == after
    assert isinstance(next(iter(loader)), torch.Tensor)


@pytest.mark.parametrize(
    ("loader", "arguments", "error", "says"),
    [
        ([1, 2], {}, TypeError, "loader: expected a torch.utils.data.DataLoader, not list"),
        (data.DataLoader([1]), {"epochs": 1}, ValueError, "epochs=1: expected 2 or more with 0 workers"),
        (data.DataLoader([1], num_workers=2), {"epochs": 0}, ValueError, "epochs=0"),
        (data.DataLoader([1]), {"batches": 0}, ValueError, "batches=0: expected 1 or more"),
    ],
)
def test_what_does_not_fit_is_refused(loader: Any, arguments: Any, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        assert_distinct_loader_draws(loader, **arguments)


def test_in_tests(project: Project) -> None:
    project("""
        import numpy as np
        import torch
        from pytest_repro import assert_distinct_draws, assert_distinct_loader_draws

        class Noisy(torch.utils.data.Dataset):
            def __init__(self):
                self.rng = np.random.default_rng(0)

            def __len__(self):
                return 8

            def __getitem__(self, index):
                return index + self.rng.random()

        def seeded(worker):
            torch.utils.data.get_worker_info().dataset.rng = np.random.default_rng(torch.initial_seed())

        def test_bug(repro):
            assert_distinct_loader_draws(torch.utils.data.DataLoader(Noisy(), num_workers=2))

        def test_mended(repro):
            loader = torch.utils.data.DataLoader(Noisy(), num_workers=2, worker_init_fn=seeded)
            assert_distinct_loader_draws(loader)

        def test_draws(repro):
            assert_distinct_draws({"worker 0": repro.rng().random(4), "worker 1": repro.rng().random(3)})

        def test_own_draws(repro):
            rng = repro.rng()
            assert_distinct_draws({(1, 0): rng.random(4), (1, 1): rng.random(3)})

        def test_other_draws_in_each_run(repro):
            draws = {each: np.random.default_rng().random(4) for each in range(2)}
            assert_distinct_draws(draws, name="epochs")
    """).check(
        passed=2, failed=3,
        says=[
            "dataset.rng (numpy.random.Generator): 1 distinct of 4 draws",
            "NotReproducible: draws: 1 distinct of 2 draws, the same: worker 0, worker 1",
            "epochs[0]   float64[4]   run 2 differs from run 1",
        ],
        lacks=["distinct_draws.py"],
    )  # fmt: skip

"""What holds for every adapter, whichever are there."""

from __future__ import annotations

import platform
import random
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from pytest_repro import adapters
from pytest_repro.adapters import Adapter, active_adapters, pin_entropy, seed_all
from pytest_repro.core.plugins import find_plugins, load_plugin

NAMES = sorted(find_plugins("pytest_repro.adapters"))


@pytest.fixture(params=NAMES)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    if request.param != adapters.STANDARD_LIBRARY:
        pytest.importorskip(request.param)
    found = load_plugin("pytest_repro.adapters", request.param).adapter
    assert isinstance(found, Adapter)
    return found


def test_the_catalogue_is_the_directory() -> None:
    folder = Path(adapters.__file__).parent
    assert {"python", "numpy", "torch"} <= set(NAMES)
    assert {p.stem for p in folder.glob("[!_]*.py")} <= set(NAMES)


def test_knows_its_own_values_only(adapter: Adapter) -> None:
    assert adapter.flatten(object()) is None
    assert adapter.flatten(MagicMock()) is None
    assert adapter.flatten(type) is None


def test_quick_readers_agree_with_slow_ones(adapter: Adapter) -> None:
    for kind, quick in adapter.fast_readers.items():
        value = kind(2) if kind in (int, float) else _one(kind)
        read, opened = quick(value), adapter.flatten(value)
        assert read is not None
        token, content = read
        assert (opened.kind, opened.dtype, opened.shape) == adapter.describe(token)  # type: ignore[union-attr]
        assert content == b"".join(bytes(piece) for piece in opened.read_chunks())  # type: ignore[union-attr]


def _one(kind: type) -> object:
    if kind.__module__.startswith("torch"):
        import torch

        return kind(torch.tensor([[0.5, -0.0]]))
    import numpy

    return numpy.array([[0.5, -0.0]], numpy.float32)


def test_seeding_repeats_and_states_restore(adapter: Adapter) -> None:
    restore = adapter.save_global_states()
    adapter.seed(2**32 - 1)
    adapter.seed(0)
    restore()
    restore()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_contexts_let_errors_through(adapter: Adapter, error: type[BaseException]) -> None:
    for context in (adapter.deterministic(True), adapter.patch_entropy(random.Random(0))):
        with pytest.raises(error), context:
            raise error


def made_by(name: str) -> list[Any]:
    if name == "numpy":
        import numpy

        kinds = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
        bits = [getattr(numpy.random, kind)(1) for kind in kinds]
        return [*bits, *map(numpy.random.Generator, bits), numpy.random.RandomState(1)]
    if name == "torch":
        import torch

        return [torch.Generator().manual_seed(1)]
    return [random.Random(1)]


def drawn(generator: Any) -> object:
    for way in ("random_raw", "standard_normal", "gauss"):
        if hasattr(generator, way):
            return getattr(generator, way)(*([0, 1] if way == "gauss" else []))
    import torch

    return torch.rand(1, generator=generator).item()


def test_a_generator_is_put_back_where_it_stood(adapter: Adapter) -> None:
    for generator in made_by(type(adapter).__module__.rpartition(".")[2]):
        drawn(generator)  # half of a pair is left behind
        state = adapter.get_state(generator)
        assert state is not None
        first = [drawn(generator) for _ in range(700)]
        adapter.set_state(generator, state)
        assert [drawn(generator) for _ in range(700)] == first
        with pytest.raises(Exception):  # noqa: B017
            adapter.set_state(generator, state[: len(state) // 2])
    assert [adapter.get_state(other) for other in (3, None, random.SystemRandom(), random.Random)] == [
        None
    ] * 4


def test_the_environment_is_text(adapter: Adapter) -> None:
    found = {**adapter.environment(), **adapter.flags()}
    assert all(isinstance(word, str) for pair in found.items() for word in pair)
    assert platform.node() not in found.values()


@pytest.mark.parametrize("there", [None, MagicMock()])
def test_a_forbidden_or_mocked_library_is_not_awake(there: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", there)
    assert "torch" not in active_adapters()
    monkeypatch.delitem(sys.modules, "torch")
    assert "torch" not in active_adapters()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "0", None, True])
def test_a_seed_is_a_whole_number_every_library_takes(seed: object) -> None:
    state = random.getstate()
    with pytest.raises(ValueError):
        seed_all(seed)  # type: ignore[arg-type]
    assert random.getstate() == state


def test_all_entropy_is_let_go_after_an_error() -> None:
    import os

    before = os.urandom, random.seed
    with pytest.raises(KeyboardInterrupt), pin_entropy(0):
        assert os.urandom is not before[0]
        raise KeyboardInterrupt
    assert (os.urandom, random.seed) == before

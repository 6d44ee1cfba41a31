"""Properties of every adapter."""

from __future__ import annotations

import ast
import platform
import random
import re
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from pytest_repro import adapters
from pytest_repro.adapters import (
    Adapter,
    active_adapters,
    digest,
    find_array_adapter,
    find_generator_adapter,
    find_kind_name,
    pin_entropy,
    seed_all,
)
from pytest_repro.core import plugins
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.core.runs.observation import Leaf

FOLDER = Path(adapters.__file__).parent
FACTS = ["Seeded", "Restored", "Switches", "Read", "Captured", "Environment", "Limits"]
NAMES = sorted(find_plugins("pytest_repro.adapters"))


@pytest.fixture(params=NAMES)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    if request.param != adapters.STANDARD_LIBRARY:
        pytest.importorskip(request.param)
    found = load_plugin("pytest_repro.adapters", request.param).adapter
    assert isinstance(found, Adapter)
    return found


def test_adapters_are_the_files_of_the_directory() -> None:
    files = [path.relative_to(FOLDER) for path in FOLDER.rglob("[!_]*.py")]
    assert {"python", "numpy", "torch"} <= set(NAMES)
    assert {path.stem for path in files if not any(part.startswith("_") for part in path.parts)} == set(NAMES)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("[a-z]*/[!_]*.py")))
def test_every_library_says_what_is_done_for_it(name: str) -> None:
    """The documentation makes a table of these lines."""
    path = next(FOLDER.glob(f"*/{name}.py"))
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert re.findall(r"^([A-Z]\w+): \S", text, re.M) == FACTS, path


def test_flatten_knows_only_own_values(adapter: Adapter) -> None:
    assert adapter.flatten(object()) is None
    assert adapter.flatten(MagicMock()) is None
    assert adapter.flatten(type) is None


def test_fast_readers_agree_with_flatten(adapter: Adapter) -> None:
    for kind, read in adapter.fast_readers.items():
        value = kind(2) if kind in (int, float) else _make_array(kind)
        result, leaf = read(value), adapter.flatten(value)
        assert result is not None
        assert isinstance(leaf, Leaf)
        assert (leaf.kind, leaf.dtype, leaf.shape) == adapter.describe(result[0])
        assert result[1] == b"".join(bytes(chunk) for chunk in leaf.read_chunks())


def _make_array(kind: type) -> object:
    if kind.__module__.startswith("torch"):
        import torch

        return kind(torch.tensor([[0.5, -0.0]]))
    import numpy

    return numpy.array([[0.5, -0.0]], numpy.float32)


def test_seeds_and_global_states(adapter: Adapter) -> None:
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


def make_generators(name: str) -> list[Any]:
    if name == "numpy":
        import numpy

        kinds = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
        bits = [getattr(numpy.random, kind)(1) for kind in kinds]
        return [*bits, *map(numpy.random.Generator, bits), numpy.random.RandomState(1)]
    if name == "torch":
        import torch

        return [torch.Generator().manual_seed(1)]
    return [random.Random(1)] if name == "python" else []


def draw(generator: Any) -> object:
    for method in ("random_raw", "standard_normal", "gauss"):
        if hasattr(generator, method):
            return getattr(generator, method)(*([0, 1] if method == "gauss" else []))
    import torch

    return torch.rand(1, generator=generator).item()


def test_generator_states_are_restored(adapter: Adapter) -> None:
    for generator in make_generators(type(adapter).__module__.rpartition(".")[2]):
        draw(generator)  # keeps the second number of a pair
        state = adapter.get_state(generator)
        assert state is not None
        first = [draw(generator) for _ in range(700)]
        adapter.set_state(generator, state)
        assert [draw(generator) for _ in range(700)] == first
        with pytest.raises(Exception):  # noqa: B017
            adapter.set_state(generator, state[: len(state) // 2])
    for other in (3, None, random.SystemRandom(), random.Random):
        assert adapter.get_state(other) is None


def test_the_environment_is_text(adapter: Adapter) -> None:
    found = {**adapter.environment(), **adapter.flags()}
    assert all(isinstance(word, str) for pair in found.items() for word in pair)
    assert platform.node() not in found.values()


@pytest.mark.parametrize("module", [None, MagicMock()])
def test_forbidden_and_mocked_libraries_are_inactive(module: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", module)
    assert "torch" not in active_adapters()
    monkeypatch.delitem(sys.modules, "torch")
    assert "torch" not in active_adapters()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "0", None, True])
def test_invalid_seeds(seed: object) -> None:
    state = random.getstate()
    with pytest.raises(ValueError):
        seed_all(seed)  # type: ignore[arg-type]
    assert random.getstate() == state


def test_entropy_is_restored_after_an_error() -> None:
    import os

    before = os.urandom, random.seed
    with pytest.raises(KeyboardInterrupt), pin_entropy(0):
        assert os.urandom is not before[0]
        raise KeyboardInterrupt
    assert (os.urandom, random.seed) == before


def test_kind_names() -> None:
    np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")

    weight = torch.nn.Parameter(torch.ones(1))
    assert [find_kind_name(value) for value in (torch.nn.Linear(1, 1), torch.optim.SGD([weight]))] == [
        "module",
        "optimiser",
    ]
    assert find_kind_name(torch.Generator()) == "torch generator"
    assert (
        find_kind_name(np.random.default_rng()) == find_kind_name(np.random.mtrand._rand) == "numpy generator"
    )
    assert find_kind_name(random.Random()) == "random.Random"
    assert [find_kind_name(value) for value in (3, weight, MagicMock(), random.Random)] == [""] * 4


def test_find_array_adapter() -> None:
    np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    adapters = active_adapters()
    assert find_array_adapter(np.zeros(1)) is find_array_adapter(np.ma.zeros(1)) is adapters["numpy"]
    assert find_array_adapter(torch.nn.Parameter(torch.zeros(1))) is adapters["torch"]
    for value in (1.0, [np.zeros(1)], np.float32(1), MagicMock(), np.ndarray, None):
        assert find_array_adapter(value) is None


def test_find_generator_adapter() -> None:
    np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    adapters = active_adapters()
    assert find_generator_adapter(torch.Generator()) is adapters["torch"]
    assert find_generator_adapter(random.Random()) is adapters["python"]
    for value in (np.random.default_rng(), np.random.mtrand._rand, np.random.PCG64()):
        assert find_generator_adapter(value) is adapters["numpy"]
    for other in (3, torch.zeros(1), MagicMock(), random.Random, random.SystemRandom()):
        assert find_generator_adapter(other) is None


ADAPTER_MODULE = """
from array import array

import numpy

from pytest_repro.adapters import Adapter, flatten


class Array(Adapter):
    def flatten(self, value):
        return flatten(numpy.asarray(value)) if isinstance(value, array) else None

    def is_array(self, value):
        return isinstance(value, array)


adapter = Array()
"""


def test_another_distribution_adds_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np = pytest.importorskip("numpy")
    array = pytest.importorskip("array").array
    metadata = tmp_path / "repro_array-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: repro-array\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest_repro.adapters]\narray = repro_array\n")
    (tmp_path / "repro_array.py").write_text(ADAPTER_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.find_plugins.cache_clear()
    plugins._read_entry_points.cache_clear()
    try:
        value = array("d", [1.0, 2.0])
        assert digest(value) == digest(np.array([1.0, 2.0]))
        assert find_array_adapter(value) is active_adapters()["array"]
        monkeypatch.delitem(sys.modules, "array")
        assert "array" not in active_adapters()
    finally:
        plugins.find_plugins.cache_clear()
        plugins._read_entry_points.cache_clear()
        sys.modules.pop("repro_array", None)

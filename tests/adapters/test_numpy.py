from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_repro.adapters import _numpy_arrays, digest, flatten
from pytest_repro.adapters.numpy import adapter
from pytest_repro.core.runs.observation import Leaf, Parts
from pytest_repro.core.runs.pytree import iter_leaves

random: Any = np.random

ARRAYS = hnp.arrays(
    hnp.scalar_dtypes() | hnp.unicode_string_dtypes(max_len=3) | hnp.byte_string_dtypes(max_len=3),
    hnp.array_shapes(min_dims=0, min_side=0, max_side=5),
)


def layouts(array: Any) -> list[Any]:
    """The same values with different strides, byte orders and owners."""
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    backwards = (*(slice(None, None, -1),) * array.ndim, ...)
    return [
        array.copy(order="F"),
        wide[..., 0],
        array[backwards].copy()[backwards],
        array.T.copy().T,
        array.astype(array.dtype.newbyteorder(">")),
        array.astype(array.dtype.newbyteorder("<")),
        np.frombuffer(b"\0" + array.tobytes(), "u1")[1:].view(array.dtype).reshape(array.shape)
        if array.nbytes
        else array,
    ]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ARRAYS)
def test_layout_does_not_count(array: Any) -> None:
    assert {digest(each) for each in layouts(array)} == {digest(array)}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ARRAYS, st.data())
def test_digests_are_equal_if_bits_are(array: Any, data: st.DataObject) -> None:
    other = data.draw(hnp.arrays(array.dtype, array.shape) | st.just(array.copy()))
    little = array.dtype.newbyteorder("<")
    same = array.astype(little).tobytes() == other.astype(little).tobytes()
    assert (digest(array) == digest(other)) is same


@given(
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
)
def test_shape_counts(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    assert (digest(np.zeros(a)) == digest(np.zeros(b))) is (a == b)


@pytest.mark.parametrize("transposed", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1), (2, 0, 1)])
@pytest.mark.parametrize("step", [1, 2])
def test_blocks_and_tiles_are_in_c_order(
    transposed: tuple[int, ...], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_numpy_arrays, "ROW_BLOCK_BYTES", 2**9)
    monkeypatch.setattr(_numpy_arrays, "TILED_BLOCK_BYTES", 2**11)
    array = np.arange(41 * 19 * 30, dtype="i2").reshape(41, 19, 30)[::step].transpose(transposed)
    assert digest(array) == digest(array.copy())


def test_broadcast_arrays_are_read_by_blocks() -> None:
    row = np.arange(1000, dtype="f8")
    assert digest(np.broadcast_to(row, (700, 1000))) == digest(np.tile(row, (700, 1)))


def test_bits_count() -> None:
    nans = np.array([0x7FC00000, 0x7FC00001, 0xFFC00000], "u4").view("f4")
    values = [np.float32(0.0), np.float32(-0.0), *nans, np.float32(1e-45), np.float32(3e-45)]
    assert len({digest(v) for v in values}) == len(values)
    kinds = ["f4", "i4", "u4", "M8[s]", "m8[s]", "S4", "V4", "?", "U1", "M8[D]"]
    assert len({digest(np.zeros(2, k)) for k in kinds}) == len(kinds)


def test_scalars_equal_arrays_without_axes() -> None:
    assert digest(np.float32(3)) == digest(np.array(3, "f4")) != digest(3.0)


def test_padding_of_records_does_not_count() -> None:
    dtype = np.dtype([("a", "u1"), ("b", "<f8"), ("c", [("d", "i2")])], align=True)
    arrays = [np.frombuffer(bytes([fill]) * (3 * dtype.itemsize), dtype).copy() for fill in (1, 2)]
    for array in arrays:
        array["a"], array["b"], array["c"]["d"] = 1, 2, 3
    assert digest(arrays[0]) == digest(arrays[1])
    arrays[1]["c"]["d"][2] = 4
    assert digest(arrays[0]) != digest(arrays[1])


@pytest.mark.skipif(np.finfo("g").nmant != 63, reason="no 80-bit floats on this machine")
@pytest.mark.parametrize("kind", ["g", "G"])
def test_padding_of_longdouble_does_not_count(kind: str) -> None:
    one, other = np.ones(3, kind), np.ones(3, kind)
    other.view("u1").reshape(-1, 16)[:, 10:] = 7
    assert digest(one) == digest(other) != digest(np.full(3, 2, kind))


def test_masked_values_do_not_count() -> None:
    a, b = (np.ma.array([1.0, v], mask=[False, True]) for v in (2.0, 3.0))
    assert digest(a) == digest(b) != digest(np.ma.array([1.0, 2.0]))


class Frame:
    """Converts to an array with ``__array__`` and has labels besides, like pandas."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.values)


class Capsule:
    """Converts to an array with DLPack only."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class Elsewhere(Capsule):
    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("on another device")


def declare(kind: Any, module: str, name: str) -> Any:
    """A class like *kind* that has the name of a declared plain array."""
    return type(name, (kind,), {"__module__": module})


@pytest.mark.parametrize(
    "kind", [declare(Frame, "mlx.core", "array"), declare(Capsule, "dpnp", "dpnp_array")]
)
def test_declared_arrays_are_read_by_protocol(kind: Any) -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert digest(kind(array)) == digest(array)


def test_failing_conversions() -> None:
    with pytest.raises(
        TypeError, match=r"value is a dpnp.dpnp_array that cannot be converted to an array: on"
    ):
        digest(declare(Elsewhere, "dpnp", "dpnp_array")(np.ones(1)))
    with pytest.raises(TypeError, match="value is an array of Python objects"):
        digest(declare(Frame, "dpnp", "dpnp_array")([object()]))


@pytest.mark.parametrize("kind", [Frame, Capsule, type("Sub", (declare(Frame, "dpnp", "dpnp_array"),), {})])
def test_labels_of_other_arrays_are_not_dropped(kind: Any) -> None:
    instead = re.escape("record numpy.asarray(x), and with it the labels or units that it would drop")
    with pytest.raises(TypeError, match=rf"a .*\.{kind.__name__}, which cannot be recorded: {instead}$"):
        digest(kind(np.ones(2)))


class Metres(np.ndarray[Any, Any]):
    unit: str


def test_attributes_of_a_subclass_count() -> None:
    metres, feet, bare = (np.ones(2).view(Metres) for _ in range(3))
    metres.unit, feet.unit = "m", "ft"
    assert digest(metres) != digest(feet)
    assert digest(bare) != digest(np.ones(2))
    metres.__dict__["me"] = metres
    leaves = iter_leaves(metres, "x", flatten)
    assert {path: leaf.kind for path, leaf, _ in leaves} == {"": "float64[2]", ".unit": "str"}


def test_leaf_of_a_strided_array() -> None:
    found = flatten(np.ones((2, 3), ">f4").T)
    assert isinstance(found, Leaf)
    assert (found.kind, found.dtype, found.shape, found.nbytes) == ("float32[3, 2]", "float32", (3, 2), 24)
    assert found.metadata == "numpy, strides (4, 12)"


def test_generators_equal_their_state() -> None:
    a, b = np.random.default_rng(0), np.random.default_rng(0)
    assert digest(a) == digest(b)
    b.random()
    assert digest(a) != digest(b)
    assert isinstance(flatten(np.random.RandomState(0)), Parts)
    assert digest(np.random.PCG64(1)) == digest(np.random.PCG64(1))


SOURCES: dict[str, Callable[[], Any]] = {
    "default_rng": lambda: np.random.default_rng().random(),
    "SeedSequence": lambda: np.random.SeedSequence().entropy,
    "RandomState": lambda: np.random.RandomState().random_sample(),
    "seed": lambda: [np.random.seed(), np.random.random_sample()],
    "PCG64": lambda: np.random.PCG64().random_raw(),
    "MT19937": lambda: np.random.MT19937().random_raw(),
}


@pytest.mark.parametrize("name", SOURCES)
def test_patch_entropy(name: str) -> None:
    draw, restore, found = SOURCES[name], adapter.save_global_states(), []
    for seed in (5, 5, 6):
        with adapter.patch_entropy(Random(seed)):
            found.append([draw(), draw()])
    assert found[0] == found[1] != found[2]
    assert found[0][0] != found[0][1]
    assert draw() != draw()
    restore()


def test_seed_is_that_of_numpy() -> None:
    restore = adapter.save_global_states()
    adapter.seed(7)
    assert np.random.random_sample() == np.random.RandomState(7).random_sample()
    restore()


@pytest.fixture
def other_generator() -> Any:
    before = random.get_bit_generator()
    random.set_bit_generator(np.random.PCG64(3))
    yield
    random.set_bit_generator(before)


@pytest.mark.usefixtures("other_generator")
def test_installed_bit_generators_are_seeded_and_restored() -> None:
    np.random.standard_normal()
    generator, state = random.get_bit_generator(), random.get_bit_generator().state
    restore, drawn = adapter.save_global_states(), []
    for _ in range(2):
        adapter.seed(1)
        drawn.append(np.random.standard_normal(3).tolist())
    random.set_bit_generator(np.random.MT19937(0))
    restore()
    assert drawn[0] == drawn[1]
    assert random.get_bit_generator() is generator
    assert generator.state == state


def test_bit_generators_installed_later_are_removed() -> None:
    np.random.standard_normal()  # keeps the second number of a pair
    before = random.get_bit_generator()
    state = np.random.get_state(legacy=False)
    restore = adapter.save_global_states()
    random.set_bit_generator(np.random.PCG64(3))
    restore()
    assert random.get_bit_generator() is before
    np.testing.assert_equal(np.random.get_state(legacy=False), state)


def test_copies_share_no_memory() -> None:
    array = np.arange(6, dtype="f4").reshape(2, 3).T
    for copy in (adapter.copy_array(array), adapter.copy_at_offset(array, 1)):
        assert type(copy) is np.ndarray
        assert not np.shares_memory(copy, array)
        np.testing.assert_array_equal(copy, array)
        copy[...] = 0
        adapter.restore_array(copy, array)
        np.testing.assert_array_equal(copy, array)
    assert [adapter.copy_at_offset(array, n).ctypes.data % 64 for n in (0, 1, 16)] == [0, 4, 0]


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4"])
def test_view_as_integers(kind: str) -> None:
    array = np.array([[1.0, 2.0]], kind)
    integers = adapter.view_as_integers(array)
    integers[0, 1] += 1
    assert (integers.shape, array.tolist()) == ((1, 2), [[1.0, 2.0 + 2 * float(np.finfo(kind).eps)]])


@pytest.mark.parametrize("kind", ["i4", "c8", "g", "U1"])
def test_only_floats_are_viewed_as_integers(kind: str) -> None:
    assert adapter.view_as_integers(np.zeros(2, kind)) is None


def test_concatenate_keeps_masks() -> None:
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    assert adapter.concatenate([masked, masked]).mask.tolist() == [False, True] * 2
    assert adapter.concatenate([np.ones(1), np.zeros(2)]).tolist() == [1, 0, 0]


def test_the_state_is_read_at_its_real_address(monkeypatch: pytest.MonkeyPatch) -> None:
    key = adapter.global_states_key()
    monkeypatch.setattr("builtins.id", lambda value: 16)  # as the diagnosis of an order by address does
    assert adapter.global_states_key() == key

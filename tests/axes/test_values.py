"""Every axis of the catalogue: its arguments, its options, and that it restores everything."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest

from pytest_repro.axes import (
    Axis,
    Bundle,
    apply_setting,
    get_axis,
    list_axis_names,
    resolve_axes,
    validate_argument_names,
)
from pytest_repro.core.plan.arguments import BadArgument
from pytest_repro.core.plugins import load_plugin
from pytest_repro.plugin.config.parsers import parse_vary

GOOD: list[tuple[str, object, tuple[object, ...]]] = [
    ("process", True, (0, 1)),
    ("process", 3, (0, 1, 2, 3)),
    ("order", True, (0, 1)),
    ("order", 2, (0, 1, 2)),
    ("threads", (1, 2), (1, 2)),
    ("threads", [4, 1, 2], (4, 1, 2)),
    ("dtype", True, ("float32", "float64")),
    ("dtype", ("float64", "bf16", "float16"), ("float64", "bf16", "float16")),
    ("device", ("cpu", "meta"), ("cpu", "meta")),
    ("device", ("cuda:1", "cpu"), ("cuda:1", "cpu")),
    ("isa", True, ("native", "default", "avx2")),
    ("isa", "avx512", ("avx512",)),
    ("isa", ("native", "avx2"), ("native", "avx2")),
    ("isa", ("avx2", "native"), ("native", "avx2")),
    ("isa", "native", ("native",)),
    ("isa", ("avx2", "default", "avx2"), ("native", "avx2", "default")),
    ("machine", "popen//python=python3.12", ("popen//python=python3.12",)),
    ("machine", ("here", "popen"), ("here", "popen")),
    ("machine", ("ssh=a", "socket=b:8888", "ssh=a"), ("here", "ssh=a", "socket=b:8888")),
    ("threads", 1, (1,)),
    ("threads", [4], (4,)),
    ("dtype", "bf16", ("bf16",)),
    ("device", "cuda", ("cuda",)),
    ("device", ("cpu",), ("cpu",)),
    ("memory", 7, (7,)),
    ("alignment", 1, (1,)),
    ("memory", True, (0, 1)),
    ("memory", (0.5, -7, 3), (0.5, -7, 3)),
    ("alignment", True, (0, 1)),
    ("alignment", (3, 0), (3, 0)),
]

_PROCESSES = "True, or a number of interpreters, 1 or more"
_SHUFFLES = "True, or a number of shuffles, 1 or more"
_THREADS = "numbers of threads, 1 or more: threads=(1, 2)"
_DTYPES = "names of floating dtypes: float16, bfloat16, float32, float64"
_DEVICES = "names of devices: device=('cpu', 'cuda')"
_ISA = "instruction sets: native, default, avx2, avx512"
_SPEC = "an execnet spec: 'popen//python=python3.12', 'ssh=host//python=python3'"
_FILL = "True, or the numbers to fill with: memory=(0, 1)"
_OFFSETS = "offsets in elements, 0 or more: alignment=(0, 1)"
_NONE = "one value for all runs, or several, the reference first"

BAD: list[tuple[str, object, str]] = [
    *[("process", given, _PROCESSES) for given in (0, -1, 1.0, "2", (1, 2))],
    *[("order", given, _SHUFFLES) for given in (0, -3, "yes", [1])],
    *[("threads", given, _THREADS) for given in ((0, 1), (1, True), (1.0, 2), "2", ("1", "2"), {1, 2})],
    *[(name, (), _NONE) for name in ("threads", "dtype", "device", "memory", "alignment")],
    ("threads", (2, 2), "each value once"),
    *[("dtype", given, _DTYPES) for given in ("int8", ("float32", "half"), (np.float32, np.float64), 32)],
    ("dtype", ("float32", "float32"), "each value once"),
    ("dtype", ("bf16", "bfloat16"), "each value once"),
    *[("device", given, _DEVICES) for given in (("cpu", ""), ("cpu", "CUDA"), ("cpu", 0), "cuda:")],
    ("device", ("cpu", "cpu"), "each value once"),
    *[("isa", given, _ISA) for given in ("avx", (), ("default", "sse"), 2, {"avx2"}, (["avx2"],))],
    *[("machine", given, _SPEC) for given in (True, "", "host", ("popen", 3), ())],
    *[("memory", given, _FILL) for given in ((True, 0), ("0", "1"), "1", {0, 1})],
    ("memory", (0, 0.0), "each value once"),
    *[("alignment", given, _OFFSETS) for given in ((0, -1), (0, 1.0), (False, 1), "1")],
    ("alignment", (1, 1), "each value once"),
    *[("stress", given, "takes no values: it names a fixed set of axes") for given in (1, "threads", (1, 2))],
]


@pytest.mark.parametrize(("name", "given", "values"), GOOD)
def test_reference_is_the_first_value(name: str, given: object, values: tuple[object, ...]) -> None:
    (found,) = resolve_axes({name: given})
    axis = get_axis(name)
    remote = axis.remote and values != ("native",)  # which is this process
    assert found == (name, values, remote, axis.close_by_default, axis.mixes_dtypes)


@pytest.mark.parametrize(("name", "given", "values"), GOOD)
def test_formatted_option_parses_to_the_same_values(
    name: str, given: object, values: tuple[object, ...]
) -> None:
    text = get_axis(name).format_option(values)
    assert text.startswith(f"{name}=")
    assert resolve_axes(dict([parse_vary(text)]))[0].values == values


@pytest.mark.parametrize("name", ["process", "order", "dtype", "isa", "memory", "alignment", "threads"])
def test_name_alone_gives_the_usual_values(name: str) -> None:
    assert parse_vary(name) == parse_vary(f" {name} ") == (name, True)
    (found,) = resolve_axes({name: True})
    assert len(set(found.values)) == len(found.values) > 1


@pytest.mark.parametrize(("name", "given", "allowed"), BAD)
def test_invalid_argument_is_explained(name: str, given: object, allowed: str) -> None:
    with pytest.raises(BadArgument) as caught:
        resolve_axes({name: given})
    shown = repr(tuple(given) if isinstance(given, (tuple, list)) else given)
    said = str(caught.value)
    assert said.startswith((f"{name}={given!r}: ", f"{name}={shown}: ", f"{name}=({given!r},): "))
    assert said.partition(": ")[2].startswith(allowed)


@pytest.mark.parametrize(
    "text",
    ["threads=", "threads=1,", "threads=two", "memory=0,x", "alignment=-1,0", "process=1,2", "stress=1"],
)
def test_invalid_option_is_explained(text: str) -> None:
    with pytest.raises(BadArgument, match=f"^vary={text!r}: "):
        parse_vary(text)


@pytest.mark.parametrize("given", [False, None])
@pytest.mark.parametrize("name", list_axis_names())
def test_false_and_none_turn_an_axis_off(name: str, given: object) -> None:
    assert resolve_axes({name: given}) == ()


def test_bundle_expands_to_its_parts_unless_given_explicitly() -> None:
    found = resolve_axes({"memory": (0, 7), "stress": True, "threads": False, "alignment": True})
    assert {each.axis: each.values for each in found} == {
        "process": (0, 1), "order": (0, 1), "memory": (0, 7), "alignment": (0, 1),
    }  # fmt: skip


@pytest.mark.parametrize("values", [(0, 1e20), (0.5, float("inf")), (0, 1e-7)])
def test_fill_numbers_round_trip_as_options(values: tuple[object, ...]) -> None:
    assert parse_vary(get_axis("memory").format_option(values)) == ("memory", values)


@pytest.mark.parametrize(
    ("value", "expression"),
    [
        (300, "np.empty(2, 'u1')"),
        (-1, "np.empty(2, 'u4')"),
        (float("nan"), "np.empty(2, 'i4')"),
        (300, "torch.empty(2, dtype=torch.uint8)"),
        (1, "torch.empty(2, dtype=torch.bits8)"),
    ],
)
def test_every_fill_number_works_for_every_dtype(value: float, expression: str) -> None:
    torch = pytest.importorskip("torch")
    with get_axis("memory").applied(value):
        assert len(eval(expression, {"np": np, "torch": torch})) == 2


def test_unknown_name_lists_known_names() -> None:
    listed = "alignment, device, dtype, isa, machine, memory, order, process, ranks, stress, threads"
    assert ", ".join(list_axis_names()) == listed
    with pytest.raises(BadArgument, match=f"^axis='colour': unknown; allowed are {listed}$"):
        parse_vary("colour=1,2")
    with pytest.raises(BadArgument, match=r"unknown \(did you mean threads\?\); allowed are "):
        parse_vary("thread=1,2")
    arguments = "runs, seed, capture, deterministic, baseline, ranks, level, seeds, unseeded, rtol, atol"
    axes = listed.replace("ranks, ", "")  # an argument of the plan, too
    with pytest.raises(BadArgument, match=f"^colour=3: unknown; allowed are {arguments}, {axes}$"):
        validate_argument_names({"runs": 2, "colour": 3})


def test_current_thread_count_is_the_reference() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    try:
        for here, other in ((1, 2), (2, 1), (3, 1)):
            torch.set_num_threads(here)
            assert get_axis("threads").resolve_values(True) == (here, other)
    finally:
        torch.set_num_threads(before)


# The contract of every axis

USUAL: dict[str, object] = {
    "device": ("cpu", "meta"), "threads": (1, 2), "machine": ("here", "popen"), "ranks": (1, 2)
}  # fmt: skip


def world() -> dict[str, Any]:
    """The state of this process that an axis can change."""
    found: dict[str, Any] = {
        "blas": _blas(),  # the first, as importing threadpoolctl sets environment variables
        "environ": dict(os.environ), "paths": list(sys.path), "cwd": os.getcwd(),
        "listdir": os.listdir, "scandir": os.scandir,
        "empty": np.empty, "empty_like": np.empty_like,
    }  # fmt: skip
    torch = sys.modules.get("torch")
    if torch is not None:
        found |= {
            "threads": torch.get_num_threads(), "dtype": torch.get_default_dtype(),
            "device": torch.get_default_device(), "grad": torch.is_grad_enabled(),
            "modes": torch.overrides._get_current_function_mode_stack(),
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        }  # fmt: skip
    return found


def _blas() -> list[tuple[str, int]]:
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [(each["filepath"], each["num_threads"]) for each in threadpool_info()]


@pytest.fixture(params=[False, True], ids=["without torch", "with torch"])
def _libraries(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param:
        pytest.importorskip("torch")
        return
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.parametrize("name", list_axis_names())
def test_catalogue_entry_is_an_axis_with_its_name(name: str) -> None:
    axis = get_axis(name)
    assert isinstance(axis, Axis)
    assert (
        type(load_plugin("pytest_repro.axes", name).axis).__name__ == type(axis).__name__ == name.capitalize()
    )
    assert axis.name == name
    assert isinstance(axis.preposition, str)
    assert all(isinstance(line, str) and line for line in axis.hints)


@pytest.mark.parametrize("name", list_axis_names())
def test_axis_describes_itself(name: str) -> None:
    axis = get_axis(name)
    values = axis.resolve_values(USUAL.get(name, True))
    if isinstance(axis, Bundle):
        assert [axis.resolve_values(True), set(axis.parts) - set(list_axis_names())] == [(), set()]
        return
    assert len(values) > 1
    for value in values:
        assert axis.format_value(value)
        assert isinstance(axis.why_unavailable(value) if value in values[1:] else "", str)
    for value in values[1:]:
        assert axis.format_pair(values[0], value)
        if axis.remote:
            assert axis.build_interpreter(value).name
    assert axis.remote or axis.hints


@pytest.mark.usefixtures("_libraries")
@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt], ids=str)
@pytest.mark.parametrize("name", list_axis_names())
def test_applied_value_is_restored(name: str, error: type[BaseException] | None) -> None:
    axis, before = get_axis(name), world()
    for value in axis.resolve_values(USUAL.get(name, True)):
        if error is None:
            with axis.applied(value):
                pass
        else:
            with pytest.raises(error), axis.applied(value):
                raise error
        assert world() == before, value


def test_several_axes_nest_and_are_restored() -> None:
    pytest.importorskip("torch")
    before = world()
    setting = {"threads": 1, "dtype": "float64", "device": "meta", "order": 1, "memory": 7}
    with pytest.raises(ZeroDivisionError), apply_setting(setting):
        inside = world()
        with apply_setting({**setting, "threads": 2, "dtype": "bf16"}):
            assert world() != inside
        assert world() == inside
        1 / 0
    assert world() == before


def test_failed_apply_is_rolled_back() -> None:
    pytest.importorskip("torch")
    before = world()
    with pytest.raises(AttributeError), apply_setting({"memory": 1, "order": 1, "dtype": "float7"}):
        pass
    assert world() == before


# What is applied

TORCH: list[tuple[str, object, str, object]] = [
    ("threads", 1, "torch.get_num_threads()", 1),
    ("threads", 3, "torch.get_num_threads()", 3),
    ("dtype", "float64", "str(torch.ones(2).dtype)", "torch.float64"),
    ("dtype", "bf16", "str(torch.nn.Linear(2, 2).weight.dtype)", "torch.bfloat16"),
    ("device", "meta", "torch.ones(2).device.type", "meta"),
    ("memory", 7, "torch.empty(2).tolist()", [7, 7]),
    ("memory", 0.5, "torch.empty_like(torch.ones(2)).tolist()", [0.5, 0.5]),
    ("memory", 7, "torch.empty_strided((2,), (1,)).tolist()", [7, 7]),
    ("memory", 7, "torch.ones(1).new_empty(2).tolist()", [7, 7]),
    ("memory", 7, "torch.ones(1).new_empty_strided((2,), (1,)).tolist()", [7, 7]),
    ("memory", 1, "torch.empty(2, dtype=torch.bool).tolist()", [True, True]),
    ("memory", 1, "torch.empty(2, dtype=torch.complex64).tolist()", [1, 1]),
    ("memory", 1, "torch.empty(2, requires_grad=True).requires_grad", True),
    ("memory", 7, "torch.zeros(2).tolist()", [0, 0]),
]


@pytest.mark.parametrize(("name", "value", "expression", "expected"), TORCH)
def test_value_applies_to_torch(name: str, value: object, expression: str, expected: object) -> None:
    torch = pytest.importorskip("torch")
    with get_axis(name).applied(value):
        assert eval(expression, {"torch": torch}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("np.empty(2)", [7, 7]),
        ("np.empty((1, 2), 'i2')", [[7, 7]]),
        ("np.empty(2, dtype=bool)", [True, True]),
        ("np.empty(2, dtype='c8')", [7, 7]),
        ("np.empty_like(np.zeros((2, 1)))", [[7], [7]]),
        ("np.empty(())", 7),
        ("np.empty((0, 3))", []),
        ("np.empty(2, object)", [None, None]),
        ("np.zeros(2)", [0, 0]),
    ],
)
def test_numpy_memory_is_filled(expression: str, expected: object) -> None:
    with get_axis("memory").applied(7):
        assert eval(expression, {"np": np}).tolist() == expected


def test_numpy_blas_threads_are_set() -> None:
    pytest.importorskip("threadpoolctl")
    if not (before := _blas()):
        pytest.skip("no BLAS that threadpoolctl knows")
    with get_axis("threads").applied(1):
        assert {number for path, number in _blas() if "blas" in path} <= {1}
    assert _blas() == before


def test_threads_are_unavailable_without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("torch", "numpy"):
        monkeypatch.delitem(sys.modules, library, raising=False)
    assert (
        get_axis("threads")
        .why_unavailable(2)
        .startswith("there are no threads to set: torch is not imported")
    )


def test_instruction_sets_may_be_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    isa, where = get_axis("isa"), sys.modules["pytest_repro.axes.isa"]
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(where, "_get_cpu_features", lambda: {"AVX2": True, "AVX512_SKX": False})
    told = [isa.why_unavailable(level) for level in ("default", "avx2", "avx512")]
    assert told == ["", "", "the processor has no avx512"]
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert isa.why_unavailable("avx2") == "avx2 is an x86 instruction set, this machine is arm64"


def test_hash_seed_differs_from_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    process = get_axis("process")
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    seeds = [process.build_interpreter(value).environ["PYTHONHASHSEED"] for value in (1, 2, 3)]
    assert seeds == ["1", "1002", "3"]
    assert process.format_pair(0, 2) == "this process and another (PYTHONHASHSEED=1002)"

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.trace.columns import Columns
from pytest_repro.core.trace.divergence import first_divergence
from pytest_repro.core.trace.trace import Op, Trace
from pytest_repro.core.trace.trace_file import encode_columns
from tests.core.trace.test_trace import programs

ONE, TWO = "1" * 16, "2" * 16
PROGRAM = [
    Op("aten.mul.Tensor", (ONE, TWO), (TWO,), "/a/b.py:3", kinds=("float32[2]", "int64[]")),
    Op("aten.rand.default", (TWO,), (), "/a/ü.py:4", generator_state=ONE, kinds=("float32[2]",)),
    Op("record loss[3]", (), (ONE,), "/a/b.py:5"),
    Op("aten.mul.Tensor", (ONE,), (), "/a/b.py:6", 0, "/a/b.py:3", view=TWO, kinds=("float32[2]",)),
    Op("aten.view.default", (TWO,), (), "", None, "/a/b.py:7", TWO, ONE, ("float32[2]",)),
]
START = b"pytest-repro trace 1\n"

Change = Callable[[dict[str, Any]], object]


def sealed(data: bytes) -> bytes:
    """*data* with the checksum that belongs to it."""
    return data + crc32(data).to_bytes(4, "little")


def forged(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    """A file that is what it should be but for what its header says."""
    size = len(header) if length is None else length
    return sealed(START + size.to_bytes(8, "little") + header + body)


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and columns of a sound file."""
    start = len(START) + 8
    stop = start + int.from_bytes(data[len(START) : start], "little")
    header = json.loads(data[start:stop])
    assert isinstance(header, dict)
    return header, data[stop:-4]


@given(programs())
def test_a_trace_is_the_same_when_it_comes_back(program: list[Op]) -> None:
    back = Trace.from_bytes(Trace.from_ops(program).to_bytes())
    assert list(back) == program
    assert back.to_bytes() == Trace.from_ops(program).to_bytes()
    assert first_divergence(back, Trace.from_ops(program)) is None


READ = """if True:
    import sys
    from pytest_repro.core.trace.trace import Trace
    print(ascii(list(Trace.load(sys.argv[1]))))
    assert not {"torch", "numpy", "pickle"} & set(sys.modules)
"""


def test_another_process_reads_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "run.trace"
    Trace.from_ops(PROGRAM).save(str(path))
    assert list(Trace.load(path)) == PROGRAM
    command = [sys.executable, "-c", READ, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(PROGRAM)


def test_a_trace_that_came_back_can_grow(tmp_path: Path) -> None:
    back = Trace.from_bytes(Trace.from_ops(PROGRAM).to_bytes())
    columns = back._columns
    assert columns.names.intern("aten.rand.default") == 1
    columns.add((columns.names.intern("new"), 0, -1, (5,), (0,), (), 0, 0))
    assert back[len(PROGRAM)].name == "new"
    assert list(back)[:-1] == PROGRAM


def test_no_byte_may_be_cut_off_or_changed(tmp_path: Path) -> None:
    data, path = Trace.from_ops(PROGRAM).to_bytes(), tmp_path / "run.trace"
    for stop in range(len(data)):
        with pytest.raises(ValueError, match=r"no trace|cut short"):
            Trace.from_bytes(data[:stop])
        changed = bytearray(data)
        changed[stop] ^= 0x10
        with pytest.raises(ValueError, match=r"no trace|changed since|of format"):
            Trace.from_bytes(bytes(changed))
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError) as caught:
        Trace.load(path)
    assert str(caught.value) == f"{path}: damaged trace: cut short, or changed since it was written"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no trace of pytest-repro"),
        (b"\x80\x04\x95", "no trace of pytest-repro"),
        (b"pytest-repro trace 1", "no trace of pytest-repro"),
        (
            b"pytest-repro trace 2\nwhatever",
            "a trace of format 2; this version of pytest-repro reads format 1",
        ),
        (b"pytest-repro trace \xff\n", "a trace of format �; this version of pytest-repro reads format 1"),
        (START, "damaged trace: cut short, or changed since it was written"),
        (sealed(START), "damaged trace: its header is not JSON: Expecting value at line 1"),
        (forged(b"{}"), "damaged trace: its header has no 'names'"),
        (forged(b"[]"), "damaged trace: its header is a list of 0, not an object"),
        (forged(b"[" * 100_000), "damaged trace: its header is nested too deeply"),
        (forged(b"{}", length=2**63), "damaged trace: its header is not JSON: Extra data"),
        (forged(b"\xff{}"), "damaged trace: its header is not JSON: it is not UTF-8 text"),
        (forged(b'{"names": "abc"}'), 'damaged trace: its header.names is "abc", not a list'),
        (forged(b'{"names": [1]}'), "damaged trace: its header.names[0] is 1, not text"),
    ],
)
def test_what_is_no_trace_is_said_with_the_path(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.trace"
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:
        Trace.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def count(name: str, value: object) -> Change:
    return lambda header: header["counts"].update({name: value})


def moved(header: dict[str, Any]) -> None:
    """As many bytes in all, but more of one column than there are."""
    header["counts"]["name"] += 10**15
    header["counts"]["place"] -= 10**15


CHANGES: dict[str, Change] = {
    "huge": count("output", 10**18),
    "endless": count("output", float("inf")),
    "no number": count("output", "many"),
    "fraction": count("output", 6.0),
    "a list": count("output", [1]),
    "negative": moved,
    "missing": lambda header: header["counts"].pop("kind"),
    "no counts": lambda header: header.pop("counts"),
    "no names": lambda header: header.update(names=[]),
    "no places": lambda header: header.update(places=[]),
    "no kinds": lambda header: header.update(kinds=[]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_lengths_that_lie_cost_no_memory(change: Change) -> None:
    header, body = parts(Trace.from_ops(PROGRAM).to_bytes())
    change(header)
    data = forged(json.dumps(header).encode(), body)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"^evil: "):
            Trace.from_bytes(data, "evil")
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_nothing_may_be_left_over() -> None:
    header, body = parts(Trace.from_ops(PROGRAM).to_bytes())
    lengths = r"^evil: damaged trace: the columns do not have the lengths that the header says$"
    for more in (bytes(8), body):
        with pytest.raises(ValueError, match=lengths):
            Trace.from_bytes(forged(json.dumps(header).encode(), body + more), "evil")
    moved(header)
    with pytest.raises(ValueError, match=r"evil: damaged trace: its header.counts.place is -9"):
        Trace.from_bytes(forged(json.dumps(header).encode(), body), "evil")


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        ("name", [0, 1, 2, 0, 4]),
        ("place", [0, 1, 2, 3, 6]),
        ("kind", [0, 1, 0, 0, 2]),
        ("forward", [-1, -1, -1, 5, -6]),
        ("forward", [-1, -1, -1, 0, -8]),
        ("output_end", [2, 3, 2, 4, 5]),
        ("output_end", [2, 3, 3, 4, 4]),
        ("output_end", [2, 3, 3, 4]),
        ("output", [1, 2, 3, 4]),
        ("input_end", [1, 1, 2, 2, 3]),
        ("draw_at", [4, 1]),
        ("draw_at", [1, 1]),
        ("draw_at", [1, 5]),
        ("draw_at", [1]),
        ("draw", [1, 0]),
        ("picked", [0, 1]),
        ("picked_at", [3, 3]),
    ],
)
def test_columns_that_contradict_each_other_are_refused(column: str, numbers: list[int]) -> None:
    columns = Trace.from_ops(PROGRAM)._columns
    columns.flush()
    assert list(getattr(columns, column)) != numbers
    setattr(columns, column, array(Columns.NUMBER_COLUMNS[column], numbers))
    with pytest.raises(ValueError, match=r"^evil: damaged trace: its columns contradict each other$"):
        Trace.from_bytes(b"".join(encode_columns(columns)), "evil")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
HEADERS = st.fixed_dictionaries(
    {each: st.just(["a"]) | JSON for each in Columns.STRING_TABLES}
    | {"counts": JSON | st.fixed_dictionaries({each: st.just(0) | JSON for each in Columns.NUMBER_COLUMNS})}
)


@given(HEADERS | JSON)
def test_no_header_is_another_error(header: object) -> None:
    try:
        found = Trace.from_bytes(forged(json.dumps(header).encode()))
    except ValueError:
        return
    assert len(found) == 0


@pytest.mark.parametrize("change", [0x01, 0x03, 0x80, 0xFF])
def test_columns_of_any_numbers_are_refused_or_can_be_read(change: int) -> None:
    sound = Trace.from_ops(PROGRAM)
    header, body = parts(sound.to_bytes())
    refused = read = 0
    for place in range(len(body)):
        changed = bytearray(body)
        changed[place] ^= change
        try:
            found = Trace.from_bytes(forged(json.dumps(header).encode(), bytes(changed)))
        except ValueError as error:
            refused += str(error) == "data: damaged trace: its columns contradict each other"
            continue
        read += len(list(found)) == len(PROGRAM)
        first_divergence(sound, found)
        first_divergence(found, sound)
    assert refused
    assert read
    assert refused + read == len(body)

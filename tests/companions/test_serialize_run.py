"""What a companion says of a run arrives as it was."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.axes import Interpreter
from pytest_repro.companions import serialize_run
from pytest_repro.companions.companion import InterpreterLost
from pytest_repro.companions.serialize_run import decode_run, encode_run
from pytest_repro.core.plan.plan import Cell, Plan
from pytest_repro.core.runs.observation import ContentRef, Leaf, Observation, TokenContext
from pytest_repro.core.runs.run import Run
from pytest_repro.engine.runs.remote_run import receive_run
from pytest_repro.engine.runs.trial import Trial

_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
_SIZES = st.integers(0, 2**40)
_SECONDS = st.floats(0, 1e9)
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT

cells = st.builds(
    Cell,
    _TEXT,
    _SCALARS,
    st.dictionaries(_TEXT, _SCALARS, max_size=3),
    st.none() | st.tuples(_TEXT, _SCALARS),
)
runs: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict, outcome=st.sampled_from(["passed", "failed", "skipped"]), seconds=_SECONDS,
    observation_count=_SIZES, error=_TEXT, error_type=_TEXT, traceback=_TEXT,
    not_compared=st.dictionaries(_TEXT, _TEXT, max_size=2),
)  # fmt: skip
observations = st.lists(
    st.builds(
        Observation, st.tuples(_TEXT, _SIZES, _TEXT), _TEXT, _TEXT, st.lists(_SIZES, max_size=4).map(tuple),
        st.binary() | st.builds(ContentRef, st.text("0123456789abcdef", min_size=32, max_size=32)), _TEXT,
    ),
    unique_by=lambda each: each.key, max_size=6,
)  # fmt: skip


@given(cell=cells, told=runs, seen=observations)
def test_a_run_and_what_it_observed_arrive_as_they_were(
    cell: Cell, told: dict[str, Any], seen: list[Observation]
) -> None:
    run = Run(cell.axis, cell.value, setting=cell.setting, repeat_of=cell.repeat_of, **told)
    text = encode_run(run, iter(seen))
    found, arrived = decode_run(text, cell)
    assert found == run
    assert list(arrived.items()) == [(each.key, each) for each in seen]
    assert [each.metadata for each in arrived.values()] == [
        each.metadata for each in seen
    ]  # not compared above
    assert text.encode("ascii")  # whatever connection it travels on
    assert hash(tuple(arrived.values())) == hash(tuple(seen))


def test_every_byte_arrives() -> None:
    every = Observation(("all", 0, ""), "bytes", "", (), bytes(range(256)))
    _, arrived = decode_run(encode_run(Run("repeat", 0, "passed"), [every]), Cell())
    assert arrived[every.key].content == bytes(range(256))


def test_odd_names_arrive() -> None:
    keys = [
        ("größe", 0, "['\ud800']"),
        ("loss", 3, ""),
        ("loss", 12, "[0].µ\0\n\u2028"),
        ("", 0, "\U0001f600"),
    ]
    seen = [Observation(key, "float", "float64", (), b"\0" * 8) for key in keys]
    _, arrived = decode_run(encode_run(Run("repeat", 0, "passed"), seen), Cell())
    assert list(arrived) == keys


def test_of_a_large_value_only_the_digest_travels() -> None:
    kept = Observation(
        ("w", 0, ""), "float32[9999]", "float32", (9999,), ContentRef("ab" * 16, storage=object())
    )
    text = encode_run(Run("repeat", 0, "passed"), [kept])
    assert json.loads(text)["observations"] == [
        {
            "key": ["w", 0, ""],
            "kind": "float32[9999]",
            "dtype": "float32",
            "shape": [9999],
            "content": {"digest": "ab" * 16},
        }
    ]
    content = decode_run(text, Cell())[1][kept.key].content
    assert isinstance(content, ContentRef)
    assert (content, content.storage) == (ContentRef("ab" * 16), None)


def test_of_logits_travels_what_they_are() -> None:
    rows = Leaf("float32[2, 8]", "float32", (2, 8), 64, lambda: [memoryview(bytes(32))] * 2)
    beside = TokenContext({"temperature": 0.5}, lambda: rows)
    told = Observation(("tokens", 0, ""), "tokens", "", (), b"[1, 2]", token_context=beside)
    _, arrived = decode_run(encode_run(Run("repeat", 0, "passed"), [told]), Cell())
    found = arrived[told.key].token_context
    assert found is not None
    assert found.sampling == {"temperature": 0.5}
    assert found.load_logits is not None
    leaf = found.load_logits()
    assert (leaf.kind, leaf.dtype, leaf.shape, leaf.nbytes) == ("float32[2, 8]", "float32", (2, 8), 64)
    assert not list(leaf.read_chunks())


def test_a_digest_is_not_mistaken_for_bytes_of_its_letters() -> None:
    letters = "ab" * 16
    seen = [
        Observation(("a", 0, ""), "str", "", (), letters.encode()),
        Observation(("b", 0, ""), "str", "", (), ContentRef(letters)),
    ]
    _, arrived = decode_run(encode_run(Run("repeat", 0, "passed"), seen), Cell())
    assert [each.content for each in arrived.values()] == [letters.encode(), ContentRef(letters)]


def test_where_it_was_run_is_known_here_and_not_told() -> None:
    away = Run("threads", 4, "passed", 0.5, setting={"threads": 4}, repeat_of=("isa", "avx2"), state="lost")
    cell = Cell("process", 1, {"process": 1}, ("process", 1))
    found, _ = decode_run(encode_run(away, []), cell)
    assert (found.axis, found.value, found.setting, found.repeat_of) == cell
    assert (found.seconds, found.state) == (0.5, "ran")


def test_what_is_unlike_there_is_told_but_not_what_is_varied(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"numpy": "2.4", "python": "3.11", "threads": "2", "torch": "2.13"}
    there = {"numpy": "2.3", "python": "3.11", "threads": "8", "jax": "0.4"}
    sides = iter([there, here, there, here])
    monkeypatch.setattr(serialize_run, "environment", lambda: next(sides))
    machine, threads = Cell("machine", "a"), Cell("machine", "a", {"threads": 1})
    run = Run("machine", "a", "passed")
    both = {"numpy": ("2.4", "2.3"), "threads": ("2", "8")}
    assert decode_run(encode_run(run, []), machine)[0].environment_diff == both
    assert decode_run(encode_run(run, []), threads)[0].environment_diff == {"numpy": ("2.4", "2.3")}


@pytest.mark.parametrize("said", ['{"run": {"outcome": "passed"}}', '{"environment": {}}', "{", "[]"])
def test_an_answer_of_another_make_loses_the_run_and_not_the_session(said: str) -> None:
    companion = SimpleNamespace(interpreter=Interpreter(name="ssh=far"))
    with pytest.raises(InterpreterLost, match="the companion for ssh=far gave an answer that cannot be read"):
        receive_run(Trial(Plan()), companion, Cell("machine", "ssh=far"), said)

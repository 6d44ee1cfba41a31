from __future__ import annotations

import copy
import math
import os
import random
import secrets
import struct
import tempfile
import uuid
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from os import urandom
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.adapters import digest, flatten
from pytest_repro.adapters.python import adapter
from pytest_repro.core.runs.observation import Leaf


def reseed_and_draw(generator: Any) -> float:
    generator.seed()
    return float(generator.random())


SOURCES: dict[str, Callable[[], Any]] = {
    "os.urandom": lambda: os.urandom(8),
    "secrets.token_hex": lambda: secrets.token_hex(8),
    "secrets.randbelow": lambda: secrets.randbelow(2**60),
    "uuid4": uuid.uuid4,
    "SystemRandom": lambda: random.SystemRandom().random(),
    "Random": lambda: random.Random().random(),
    "Random.seed": lambda: reseed_and_draw(random.Random(3)),
    "random.seed": lambda: reseed_and_draw(random),
    "a name bound before": lambda: urandom(8),
    "tempfile": lambda: os.path.basename(tempfile.mktemp()),
}


@pytest.mark.parametrize("name", SOURCES)
def test_patch_entropy(name: str) -> None:
    draw = SOURCES[name]
    restore = adapter.save_global_states()
    found = []
    for seed in (5, 5, 6):
        with adapter.patch_entropy(random.Random(seed)):
            found.append([draw(), draw()])
    restore()
    assert found[0] == found[1] != found[2]
    assert found[0][0] != found[0][1]
    assert draw() != draw()
    restore()


UTC, PARIS = timezone.utc, ZoneInfo("Europe/Paris")
BERLIN = ZoneInfo("Europe/Berlin")
PLAIN_VALUES = [
    datetime(2026, 1, 2, 3, 4, 5, 6), datetime(2026, 1, 2, 3, 4, 5, 6, UTC), date(2026, 1, 2),
    datetime(2026, 1, 2, tzinfo=PARIS), datetime(2026, 1, 2, tzinfo=BERLIN), time(3, 4),
    datetime(2026, 10, 25, 2, 30, tzinfo=PARIS), datetime(2026, 10, 25, 2, 30, tzinfo=PARIS, fold=1),
    timedelta(1, 2, 3), timedelta(1, 2, 4), range(3), range(4), Path("a/b"), Path("a/c"),
    PureWindowsPath("a/b"), Fraction(1, 3), deque([1, 2]), deque([1, 2], maxlen=2), deque([1, 2], maxlen=3),
    time(3, 4, tzinfo=UTC), deque([2, 1]), SimpleNamespace(a=1), SimpleNamespace(a=2), SimpleNamespace(b=1),
    "a/b", "2026-01-02",
]  # fmt: skip


def test_each_plain_value_is_equal_to_itself_alone() -> None:
    assert len({digest(value) for value in PLAIN_VALUES}) == len(PLAIN_VALUES)
    assert [digest(value) for value in copy.deepcopy(PLAIN_VALUES)] == [digest(v) for v in PLAIN_VALUES]


@pytest.mark.skipif(not hasattr(os, "getrandom"), reason="only Linux has it")
def test_patch_entropy_of_getrandom() -> None:
    with adapter.patch_entropy(random.Random(5)):
        first = os.getrandom(8, os.GRND_NONBLOCK)
    with adapter.patch_entropy(random.Random(5)):
        assert os.getrandom(8) == first


def test_names_of_temporary_files_are_restored() -> None:
    tempfile.mktemp()
    before = tempfile._name_sequence  # type: ignore[attr-defined]
    with adapter.patch_entropy(random.Random(5)):
        tempfile.mktemp()
    assert tempfile._name_sequence is before  # type: ignore[attr-defined]


def test_seeded_generators_do_not_change() -> None:
    expected = random.Random(3).random()
    with adapter.patch_entropy(random.Random(0)):
        assert random.Random(3).random() == expected


def test_global_state_is_restored() -> None:
    random.gauss(0, 1)  # keeps the second number of a pair
    before = random.getstate()
    restore = adapter.save_global_states()
    adapter.seed(1)
    random.random()
    restore()
    assert random.getstate() == before


def test_seed_is_passed_unchanged() -> None:
    restore = adapter.save_global_states()
    adapter.seed(7)
    assert random.random() == random.Random(7).random()
    restore()


@given(st.integers() | st.floats() | st.booleans() | st.text() | st.binary() | st.complex_numbers())
def test_digests_of_values(value: Any) -> None:
    assert digest(value) == digest(value)
    assert digest(value) != digest([value])
    assert digest(value) != digest(repr(value))


@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_integers_of_any_size(a: int, b: int) -> None:
    assert (digest(a) == digest(b)) is (a == b)


def test_bits_count() -> None:
    quiet, other = (struct.unpack("<d", struct.pack("<Q", 0x7FF8 << 48 | n))[0] for n in (0, 1))
    values = [0, 0.0, -0.0, False, 0j, "0", b"0", None, "None", math.nan, other, Decimal(0), Fraction(0)]
    assert len({digest(value) for value in values}) == len(values)
    assert digest(quiet) == digest(math.nan)


class Size(int):
    pass


def test_subclasses_of_int() -> None:
    found = flatten(Size(3))
    assert isinstance(found, Leaf)
    assert (found.kind, found.dtype, found.nbytes) == ("Size", "int64", 8)


def test_unpaired_surrogates() -> None:
    assert digest("\ud800") != digest("\ud801")


@given(st.integers(0, 2**32 - 1), st.integers(0, 700), st.booleans())
def test_the_state_of_random_is_read_and_restored_exactly(seed: int, draws: int, gauss: bool) -> None:
    before = random.getstate()
    try:
        adapter.seed(seed)
        for _ in range(draws):
            random.random()
        if gauss:
            random.gauss(0, 1)
        state, key, restore = random.getstate(), adapter.global_states_key(), adapter.save_global_states()
        adapter.seed(seed ^ 1)
        assert adapter.global_states_key() != key
        restore()
        assert (random.getstate(), adapter.global_states_key()) == (state, key)
        adapter.seed(seed)
        assert random.getstate() == random.Random(seed).getstate()
    finally:
        random.setstate(before)


def test_seeding_does_not_depend_on_functions_that_a_test_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    before = random.getstate()
    monkeypatch.setattr(random, "seed", lambda *_: None)
    monkeypatch.setattr("builtins.id", lambda value: 16)  # as the diagnosis of an order by address does
    adapter.seed(3)
    seeded, expected = random.getstate(), random.Random(3).getstate()
    adapter.global_states_key()  # from memory, at the real address
    monkeypatch.undo()
    random.setstate(before)
    assert seeded == expected


def test_a_generator_that_a_program_puts_behind_random_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(random.Random):
        draws = 0

        def getstate(self) -> tuple[Any, ...]:
            return self.draws, super().getstate()

        def setstate(self, state: tuple[Any, ...]) -> None:
            self.draws = state[0]
            super().setstate(state[1])

    for generator in (random.Random(42), Counted(42)):
        for name in ("random", "seed", "getstate", "setstate"):
            monkeypatch.setattr(random, name, getattr(generator, name))
        before, restore = generator.getstate(), adapter.save_global_states()
        adapter.seed(3)
        assert generator.random() == random.Random(3).random()
        restore()
        assert generator.getstate() == before

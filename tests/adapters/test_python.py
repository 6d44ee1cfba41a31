from __future__ import annotations

import math
import os
import random
import secrets
import struct
import tempfile
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from os import urandom
from typing import Any

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

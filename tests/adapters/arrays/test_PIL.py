from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_repro.adapters import digest, flatten
from pytest_repro.core.runs.pytree import iter_leaves
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

pytest.importorskip("PIL")

from PIL import Image

from pytest_repro.adapters.arrays.PIL import CRandom

ARRAYS = {
    "1": "bool[2, 3]", "L": "uint8[2, 3]", "P": "uint8[2, 3]", "RGB": "uint8[2, 3, 3]",
    "RGBA": "uint8[2, 3, 4]", "CMYK": "uint8[2, 3, 4]", "YCbCr": "uint8[2, 3, 3]",
    "LAB": "uint8[2, 3, 3]", "HSV": "uint8[2, 3, 3]",
    "LA": "uint8[2, 3, 2]", "PA": "uint8[2, 3, 2]", "I": "int32[2, 3]", "F": "float32[2, 3]",
    "I;16": "uint16[2, 3]", "I;16B": "uint16[2, 3]",
}  # fmt: skip


def list_kinds(value: object) -> dict[str, str]:
    return {path: leaf.kind for path, leaf, _ in iter_leaves(value, "value", flatten)}


@pytest.mark.parametrize("mode", ARRAYS)
def test_modes(mode: str) -> None:
    image, same, other = (Image.new(mode, (3, 2)) for _ in range(3))
    other.putpixel((2, 1), (1,) * len(other.getbands()) if len(other.getbands()) > 1 else 1)
    assert list_kinds(image)[""] == ARRAYS[mode]
    assert digest(image) == digest(same) != digest(other)


def test_what_the_pixels_do_not_say() -> None:
    def make(palette: list[int], **info: Any) -> Image.Image:
        image = Image.new("P", (2, 2))
        image.putpalette(palette)
        image.info.update(info)
        return image

    plain = make([0, 0, 0, 9, 9, 9])
    assert digest(plain) == digest(make([0, 0, 0, 9, 9, 9])) != digest(make([0, 0, 0, 9, 9, 8]))
    assert digest(plain) != digest(make([0, 0, 0, 9, 9, 9], transparency=1))
    kinds = list_kinds(make([0, 0, 0, 9, 9, 9], transparency=1))
    assert (kinds[".getpalette('RGB')"], kinds[".info['transparency']"]) == ("uint8[6]", "int")
    grey, wide = Image.new("L", (2, 2)), Image.new("L", (4, 1))
    assert digest(grey) != digest(wide)
    assert digest(Image.new("RGB", (1, 1))) != digest(Image.new("HSV", (1, 1)))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_files_are_loaded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.linear_gradient("L").convert("RGB").save(path)
    with Image.open(path) as lazy, Image.open(path) as loaded:
        loaded.load()
        assert digest(lazy) == digest(loaded)
        assert lazy.getpixel((0, 0)) is not None


def test_each_frame_of_an_animation_is_compared(tmp_path: Path) -> None:
    def save(name: str, *levels: int) -> Image.Image:
        frames = [Image.new("L", (4, 4), level) for level in levels]
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=40)
        return Image.open(tmp_path / name)

    with save("a.gif", 0, 9, 80) as first, save("b.gif", 0, 9, 80) as same, save("c.gif", 0, 9, 90) as other:
        assert digest(first) == digest(same) != digest(other)
        assert ".seek(2)" in list_kinds(first)
        before = digest(first)
        first.seek(1)
        pixels = np.array(first)
        assert digest(first) != before
        assert first.tell() == 1
        assert np.array_equal(np.array(first), pixels)
        first.seek(0)
        assert digest(first) == before


needs_rand = pytest.mark.skipif(not CRandom().is_available, reason="needs the C library of GNU")


def draw() -> bytes:
    return bytes(Image.effect_noise((8, 8), 50).tobytes())


@needs_rand
def test_effects_are_seeded_and_restored() -> None:
    first = draw()
    with pytest.raises(KeyboardInterrupt), pinned(3):
        noise, spread = draw(), Image.linear_gradient("L").effect_spread(9).tobytes()
        raise KeyboardInterrupt
    second = draw()
    with pinned(3):
        assert (draw(), Image.linear_gradient("L").effect_spread(9).tobytes()) == (noise, spread)
    with pinned(4):
        assert draw() != noise
    generator = CRandom()
    state = generator.get_state()
    third = draw()
    generator.set_state(state)
    assert draw() == third
    generator.seed(5)
    key = generator.get_key()
    generator.set_state(generator.get_state())
    assert generator.get_key() == key
    draw()
    assert generator.get_key() != key
    assert len({first, second, third}) == 3


@needs_rand
@pytest.mark.parametrize("nbytes", [8, 32, 64, 128, 256])
def test_states_of_every_size(nbytes: int) -> None:
    library, buffer = ctypes.CDLL(None), ctypes.create_string_buffer(nbytes)
    library.initstate.restype = ctypes.c_void_p
    library.initstate.argtypes = [ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t]
    library.setstate.argtypes = [ctypes.c_void_p]
    generator, before = CRandom(), library.initstate(5, ctypes.addressof(buffer), nbytes)
    try:
        library.rand()
        state = generator.get_state()
        numbers = [library.rand() for _ in range(100)]
        assert len(state) == nbytes
        generator.set_state(state)
        assert [library.rand() for _ in range(100)] == numbers
        with pytest.raises(ValueError, match=rf"has {len(state)} bytes, not 3"):
            generator.set_state(b"abc")
    finally:
        library.setstate(before)


@needs_rand
def test_unseeded_noise(project: Project) -> None:
    result = project(
        """
        from PIL import Image

        def test_noise(repro):
            repro.record(image=Image.effect_noise((8, 8), 50))

        def test_local_variable():
            image = Image.effect_noise((8, 8), 50).convert("P")
        """,
        "--repro-all",
        "--repro-unseeded=fail",
    )
    assert result.verdicts == {"test_noise": "reproduced", "test_local_variable": "reproduced"}
    for test, line in zip(result.report["tests"], (4, 7)):
        (draw,) = test["unseeded"]
        assert (draw["generator"], draw["location"]) == ("PIL", f"test_it.py:{line}")
        assert "not_compared" not in test
    result.check(failed=2, says="call ctypes.CDLL(None).srand(1) in the test or in its fixtures")

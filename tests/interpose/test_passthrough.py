"""Calls from lines that are spared reach what is replaced."""

from __future__ import annotations

import sys
import time

from pytest_repro.interpose.passthrough import is_passthrough, pass_through
from pytest_repro.interpose.patch import Patch, patch_everywhere


def asked() -> list[float]:
    first = time.time()
    second = time.time()
    return [first, second]


def test_a_line_that_is_spared_is_not_replaced_and_others_are() -> None:
    line = f"{__file__}:{asked.__code__.co_firstlineno + 2}"
    with pass_through([line]), patch_everywhere([Patch(time, "time", lambda: -1.0)]):
        first, second = asked()
    assert (first, second > 0) == (-1.0, True)


def test_after_it_nothing_is_spared_also_on_an_error() -> None:
    try:
        with pass_through(["/a.py:1"]):
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    with patch_everywhere([Patch(time, "time", lambda: -1.0)]):
        assert asked() == [-1.0, -1.0]
    assert not is_passthrough(sys._getframe())

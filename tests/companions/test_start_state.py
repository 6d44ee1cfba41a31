from __future__ import annotations

import os
import subprocess
import time
from unittest import mock

import pytest

from pytest_repro.companions.start_state import PristineModules


def test_patched_names_are_restored_and_patched_again() -> None:
    names = PristineModules()
    start, sleep, joined = subprocess.Popen.__init__, time.sleep, os.path.join
    with (
        mock.patch("subprocess.Popen.__init__") as first,
        mock.patch("time.sleep") as second,
        mock.patch.dict("os.environ", {"IS": "a dict, and stays"}),
        mock.patch("os.path.join"),
        mock.patch("os.added", create=True) as third,
    ):
        with pytest.raises(KeyboardInterrupt), names.restore():
            assert (subprocess.Popen.__init__, time.sleep, os.path.join) == (start, sleep, joined)
            assert os.environ["IS"] == "a dict, and stays"
            raise KeyboardInterrupt
        assert (subprocess.Popen.__init__, time.sleep, os.added) == (first, second, third)  # type: ignore[attr-defined]
    assert (subprocess.Popen.__init__, time.sleep, os.path.join) == (start, sleep, joined)


def test_deleted_names_are_deleted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    names = PristineModules()
    monkeypatch.delattr("os.getpid")
    with names.restore():
        assert os.getpid() > 0
    assert not hasattr(os, "getpid")

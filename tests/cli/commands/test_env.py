from __future__ import annotations

import importlib
import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from pytest_repro import __version__
from pytest_repro.adapters import STANDARD_LIBRARY, active_adapters, environment
from pytest_repro.cli.commands.env import describe_switch, iter_switches
from pytest_repro.core.machine import VARIABLES
from tests.cli.reports import run


def test_every_switch_has_a_meaning() -> None:
    pytest.importorskip("torch")
    from pytest_repro.adapters._torch import switches

    found = [each for each in iter_switches() if not each.meaning]
    assert found == []
    assert set(switches._ENVIRONMENT_VARIABLES) <= set(VARIABLES)
    names = {
        name for key, each in active_adapters().items() if key != STANDARD_LIBRARY for name in each.switches()
    }
    told = {each.name for each in iter_switches()}
    assert {name for name in names if name.rpartition(" ")[2] not in VARIABLES} | set(VARIABLES) == told
    assert describe_switch("jax enable_x64") == ""


def test_text_and_json_say_the_same(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    monkeypatch.delenv("MKL_CBWR", raising=False)
    monkeypatch.setenv("SOME_TOKEN", "hunter2")
    code, text, _ = run(capsys, "env")
    assert code == 0
    code, told, _ = run(capsys, "env", "--json")
    assert code == 0
    found = json.loads(told)
    assert found["format"] == 1
    assert found["environment"] == environment()
    states = {each["name"]: each["state"] for each in found["switches"]}
    assert (states["PYTHONHASHSEED"], states["MKL_CBWR"]) == ("7", "not set")
    lines = [line.split() for line in text.splitlines()]
    assert ["pytest-repro", __version__] in lines
    for each in found["switches"]:
        assert [*each["name"].split(), *each["state"].split()] in lines
        assert " ".join(each["meaning"].split()) in " ".join(text.split())
    assert "hunter2" not in text + told  # only known variables are printed


def test_libraries_are_woken_and_a_broken_one_is_told(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wake = "import sys; from pytest_repro.cli.commands.env import import_libraries as wake; wake(); "
    wake += "sys.exit('numpy' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", wake], check=False).returncode == 0

    real = importlib.import_module

    def broken(name: str) -> ModuleType:
        if name == "numpy":
            raise OSError(f"lib{name}.so: cannot open shared object file")
        return real(name)

    monkeypatch.setattr("pytest_repro.cli.commands.env.importlib.import_module", broken)
    code, text, _ = run(capsys, "env")
    assert code == 0
    assert "cannot be imported: OSError: libnumpy.so: cannot open shared object file" in text
    assert "OSError: libnumpy.so" in json.loads(run(capsys, "env", "--json")[1])["not imported"]["numpy"]

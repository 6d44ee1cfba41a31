"""The first import of a library as the cause of a difference."""

from __future__ import annotations

from tests.conftest import Project
from tests.plugin.diagnosis.test_causes import read_line

MODULES = {
    "registry": "NAMES = []",
    "extension": "import registry\nregistry.NAMES.append('extension')",
    "limits": "import sys\nsys.setrecursionlimit(sys.getrecursionlimit() + 100)",
    "user": "def load():\n    import late",
    "late": "",
    "state": "SEEN = []",
}
SOURCE = """
import importlib, random, sys, time
import pytest

def test_registry(repro):
    import registry
    names = list(registry.NAMES)
    import extension
    repro.record(names=names)

def test_setting(repro):
    repro.record(limit=sys.getrecursionlimit())
    pytest.importorskip("limits")

def test_module_list(repro):
    repro.record(count=len(sys.modules))
    importlib.import_module("xml.dom.minidom")

def test_user_module(repro):
    repro.record(seen="late" in sys.modules)
    import user
    user.load()

def test_state_of_a_module(repro):
    import state
    state.SEEN.append(1)
    repro.record(count=len(state.SEEN))

def test_clock(repro):
    import wave
    repro.record(now=time.time())

def test_both(repro):
    repro.record(seen="sched" in sys.modules, x=random.Random().random())
    import sched
"""
EXPECTED = {
    "test_registry": ("import", "import extension"),
    "test_setting": ("import", 'pytest.importorskip("limits")'),
    "test_module_list": ("import", 'importlib.import_module("xml.dom.minidom")'),
    "test_user_module": ("import", "import late"),
    "test_state_of_a_module": ("shared-state", "SEEN = []"),
    "test_clock": ("clock", "repro.record(now=time.time())"),
    "test_both": ("import", "import sched"),
}


def test_what_a_first_import_changes(project: Project) -> None:
    project.write(**MODULES)
    project.inquires = True
    result = project(SOURCE, subprocess=True)
    tests = {test["nodeid"].split("::")[1]: test["cause"] for test in result.report["tests"]}
    reported = {name: (it["name"], read_line(result.folder, it["location"])) for name, it in tests.items()}
    assert reported == EXPECTED
    assert tests["test_registry"] == {
        "name": "import",
        "location": "test_it.py:7",
        "explanation": "only the first run imports extension, which changes what it finds; if this import "
        "comes before the runs, they are equal",
        "fix": "import extension at the top of the file",
        "ruled_out": [],
    }
    assert tests["test_module_list"]["fix"] == "import xml.dom.minidom at the top of the file"
    both = next(test["causes"] for test in result.report["tests"] if test["nodeid"].endswith("::test_both"))
    assert [cause["name"] for cause in both] == ["import", "os-entropy"]
    assert tests["test_clock"]["ruled_out"] == []


def test_an_import_in_each_run_rules_nothing_out(project: Project) -> None:
    project.write(conf="import random\nDRAWN = random.Random().random()")
    project.inquires = True
    source = """
    import sys
    def test_draws(repro, monkeypatch):
        monkeypatch.delitem(sys.modules, "conf", raising=False)
        import conf
        repro.record(x=conf.DRAWN)
    """
    cause = project(source, subprocess=True).report["tests"][0]["cause"]
    assert (cause["name"], cause["ruled_out"]) == ("unknown", [])
    assert "os-entropy, uninitialised-memory (each run imports conf, which meets" in cause["explanation"]

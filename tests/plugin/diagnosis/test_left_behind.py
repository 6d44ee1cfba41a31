"""What a run adds, and files that it leaves behind: only what makes runs differ is named."""

from __future__ import annotations

from tests.conftest import Project

SOURCE = """
    import ctypes, os, random
    import pytest

    rand = ctypes.CDLL(None).rand

    class Model: pass

    @pytest.fixture(scope="module")
    def where(tmp_path_factory): return tmp_path_factory.mktemp("cache")

    def test_innocent(repro):
        Model.used = True
        random.seed(1)
        repro.record(x=rand())

    def test_added_global(repro):
        global LOADED, CALLS
        LOADED = True
        CALLS = globals().get("CALLS", 0) + 1
        repro.record(x=CALLS)

    def test_file(repro, where):
        Model.seen = True
        step = int((where / "step").read_text()) if (where / "step").exists() else 0
        (where / "step").write_text(str(step + 1))
        repro.record(step=step)

    def test_log(repro):
        with open("log.txt", "a") as log:
            log.write("x")
        repro.record(size=os.path.getsize("log.txt"))
"""


def test_additions_and_files(project: Project) -> None:
    project.inquires = True
    result = project(SOURCE, subprocess=True)
    found = {test["nodeid"].split("::")[1]: test["cause"] for test in result.report["tests"]}
    innocent = found.pop("test_innocent")
    assert innocent["name"] == "unknown"
    assert (
        "; runs still differed without test_it.Model.used, random.seed() at test_it.py:"
        in innocent["explanation"]
    )
    told = {name: (cause["name"], cause["explanation"].split(";")[0]) for name, cause in found.items()}
    assert told == {
        "test_added_global": ("shared-state", "a run leaves state for the next: test_it.CALLS is new"),
        "test_file": ("shared-state", "a run leaves state for the next: file step in fixture where is new"),
        "test_log": ("shared-state", "a run leaves state for the next: file log.txt grew from 2 to 3 bytes"),
    }
    lines = (result.folder / "test_it.py").read_text().splitlines()
    assert [lines[int(cause["location"].split(":")[1]) - 1].strip() for cause in found.values()] == [
        'CALLS = globals().get("CALLS", 0) + 1',
        '(where / "step").write_text(str(step + 1))',
        'with open("log.txt", "a") as log:',
    ]
    assert [cause["fix"] for cause in found.values()] == [
        "remove test_it.CALLS when the test ends, or set it with monkeypatch",
        "write to tmp_path, which is empty in each run",
        "write to tmp_path, which is empty in each run",
    ]
    assert (result.folder / "log.txt").read_text() == "xx"  # what the two runs wrote, not the experiments

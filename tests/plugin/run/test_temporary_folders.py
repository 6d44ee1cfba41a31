"""The names of temporary folders, which differ from run to run, in what is recorded."""

from __future__ import annotations

from tests.conftest import Project

SOURCE = """
import hashlib, os
import numpy as np
import pytest

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")

def test_unmarked_takes_a_number(tmp_path_factory):
    tmp_path_factory.mktemp("checkpoint")

@pytest.mark.reproducible(process=True, runs=3)
def test_same(repro, tmp_path, tmp_path_factory, tmpdir, shared):
    assert os.listdir(tmp_path) == []
    path = tmp_path / "m.pt"
    path.write_text("x")
    first, second = tmp_path_factory.mktemp("checkpoint"), tmp_path_factory.mktemp("checkpoint")
    assert tmp_path_factory.mktemp("plain", numbered=False).name == "plain"
    repro.record(path=path, text=f"saved {path}", name=tmp_path.name, old=str(tmpdir), shared=str(shared))
    repro.record(folders=[first, second], keys={str(path): 1}, members={path}, array=np.array([str(path)]))
"""


def test_names_of_folders_are_the_same_in_every_run_and_in_companions(project: Project) -> None:
    result = project(SOURCE).check(passed=2, says="1 compared (1 reproduced), 0 observed nothing\n")
    values = {
        each["name"]: each.get("text") for test in result.report["tests"] for each in test["observations"]
    }
    assert values["path"] == "<tmp>/test_same/m.pt"
    assert (values["name"], values["shared"]) == ("test_same", "<tmp>/shared")
    assert (values["folders[0]"], values["folders[1]"]) == ("<tmp>/checkpoint", "<tmp>/checkpoint-2")
    assert "keys['<tmp>/test_same/m.pt']" in values


def test_folders_of_another_run_and_what_is_made_of_a_name_differ(project: Project) -> None:
    source = """
    import hashlib
    known = []
    def test_kept(repro, tmp_path):
        known.append(tmp_path)
        repro.record(path=known[0])
    def test_hash(repro, tmp_path):
        repro.record(hash=hashlib.sha256(bytes(tmp_path)).hexdigest())
    def test_float(repro, tmp_path):
        known.append(tmp_path)
        repro.record(x=float(len(known)))
    """
    note = "seed 0; each run has another tmp_path: a hash of its name, say, differs)"
    result = project(source).check(failed=3)
    assert result.text.count(note) == 1
    result.check(says=["'<tmp>/test_kept' in run 1, '<tmp>/test_kept0' in run 2", f"2 runs, {note}"])

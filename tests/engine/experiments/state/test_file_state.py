"""Files that runs write are found with their line, and put back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_repro.core.diagnose import StateRoot
from pytest_repro.engine.experiments.state.file_state import FileStates
from pytest_repro.interpose.file_writes import watch_writes


def list_tree() -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(Path().rglob("*"))}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # under which fewer folders are touched
    for name in ("grown", "gone", "moved", "same"):
        Path(name).write_text(name)
    Path("old").mkdir()
    Path("old/part").write_text("1")
    return tmp_path


def run() -> None:
    Path("new").write_text("1")
    with open("grown", "a") as stream:
        stream.write("more")
    os.remove("gone")
    os.replace("moved", "new_name")
    Path("same").write_text("same")
    os.rename("old", "older")
    os.makedirs("made/inside", exist_ok=True)
    Path("made/inside/x").touch()
    shutil.copy("same", "copy")


def test_changes_and_their_lines(here: Path) -> None:
    states = FileStates()
    before = list_tree()
    with watch_writes(states.note):
        states.begin_body({})
        run()
    found = {change.name.removeprefix("file "): change for change in states.list_changes()}
    assert {name: change.description for name, change in found.items()} == {
        "new": "is new",
        "grown": "grew from 5 to 9 bytes",
        "gone": "is gone",
        "moved": "is gone",
        "new_name": "is new",
        "old": "is gone",
        "old/part": "is gone",
        "older": "is new",
        "made": "is new",
        "copy": "is new",
    }
    first = run.__code__.co_firstlineno
    assert found["new"].location == f"{__file__}:{first + 1}"
    assert found["made"].location == f"{__file__}:{first + 8}"
    assert states.restore(["file new", "file made"]) == set()
    assert not os.path.exists("made")
    assert os.path.exists("older")
    states.restore_all()
    assert list_tree() == before


def test_folder_of_a_fixture_and_hidden_folders(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cache")
    (here / ".cache").mkdir()
    states = FileStates()
    with watch_writes(states.note):
        (folder / "made_by_the_fixture").write_text("1")
        states.begin_body({"fixture where": StateRoot(folder, __file__)})
        (folder / "order").write_text("1")
        Path(".cache/library").write_text("1")
    names = ["file order in fixture where", "file .cache/library"]
    assert [change.name for change in states.list_changes()] == names
    assert states.restore(names) == {"file .cache/library"}  # it may be shared with other programs
    assert [path.name for path in folder.iterdir()] == ["made_by_the_fixture"]
    states.restore_all()
    assert list(folder.iterdir()) == []

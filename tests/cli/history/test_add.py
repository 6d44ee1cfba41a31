"""Reports are added to a history once, all of them, whoever else adds some at that time."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.cli.history.add import add_report
from pytest_repro.cli.history.database import FORMAT, open_history
from pytest_repro.reports.json.report import BadReport, ReportHead
from tests.cli.history.sessions import add, show, write_session
from tests.cli.merge.shards import make_row, shard
from tests.cli.reports import number, run


def count(history: Path, table: str) -> int:
    connection = sqlite3.connect(history)
    (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return int(rows)


def test_a_report_is_added_once(tmp_path: Path, capsys: Any) -> None:
    path = write_session(tmp_path, 1, {"x": 1.0, "y": 2.0})
    history = tmp_path / "repro.sqlite"
    added = f"{path}: added 1 session, 1 test\n"
    assert run(capsys, "history", "add", str(history), path) == (0, added, "")
    again = f"{path} is in the history already: nothing was added\n"
    assert run(capsys, "history", "add", str(history), path, path) == (0, again * 2, "")
    assert [count(history, table) for table in ("session", "result", "observation")] == [1, 1, 2]
    assert [each.name for each in tmp_path.glob("repro.sqlite*")] == ["repro.sqlite"]  # one file, no journal


def test_a_merged_report_has_the_sessions_of_its_shards(tmp_path: Path, capsys: Any) -> None:
    a = shard(tmp_path, 1, make_row("a", number("x", 1.0)), environment={"cpu": "AVX2"})
    b = shard(tmp_path, 2, make_row("b", number("x", 1.0)), environment={"cpu": "AVX512"})
    merged = str(tmp_path / "all.json")
    assert run(capsys, "merge", a, b, "-o", merged)[0] == 0
    history = add(capsys, tmp_path, a)
    code, out, _ = run(capsys, "history", "add", str(history), merged)
    assert (code, out) == (
        0,
        f"{merged}: added 1 session, 1 test; 1 shard of it were in the history already\n",
    )
    connection = sqlite3.connect(history)
    rows = connection.execute(
        "SELECT shard, fields FROM session JOIN environment ON environment.id = environment_id"
    )
    assert dict(rows.fetchall()) == {"1/2": '{"cpu": "AVX2"}', "2/2": '{"cpu": "AVX512"}'}
    connection.close()


def test_a_report_without_a_head_is_known_by_its_content(tmp_path: Path, capsys: Any) -> None:
    path = shard(tmp_path, 1, make_row("a", number("x", 1.0)), head=ReportHead())
    history = add(capsys, tmp_path, path, path)
    assert count(history, "session") == 1


def test_a_bad_report_leaves_nothing_and_stops_no_other(tmp_path: Path, capsys: Any) -> None:
    good, bad = write_session(tmp_path, 1, {"x": 1.0}), write_session(tmp_path, 2, {"x": 2.0})
    text = Path(bad).read_text()
    Path(bad).write_text(text.replace('"values": [2.0]', '"values": ["two"]'))  # only read while it is added
    history = tmp_path / "repro.sqlite"
    code, out, _ = run(capsys, "history", "add", str(history), bad, good)
    assert (code, out.splitlines()[0]) == (
        1,
        f'not added: {bad}: tests[0].observations[0].values[0] is "two", not a number',
    )
    assert [count(history, table) for table in ("session", "result", "observation")] == [1, 1, 1]


def _add_all(history: str, paths: list[str]) -> None:
    for path in paths:
        with open_history(history, create=True) as connection:
            add_report(connection, path)


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    """Four processes create the file at once, and each adds some reports of its own and one of all."""
    history = str(tmp_path / "repro.sqlite")
    paths = [write_session(tmp_path, day, {"x": float(day), "y": 0.0}) for day in range(1, 22)]
    context = multiprocessing.get_context("spawn")
    shares = [[*paths[1 + n :: 4], paths[0]] for n in range(4)]
    processes = [context.Process(target=_add_all, args=(history, share)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert [count(Path(history), table) for table in ("session", "result", "observation")] == [21, 21, 42]
    assert count(Path(history), "content") == 22  # y is stored once


def _set_format(path: Path) -> None:
    with open_history(str(path), create=True) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")


def _make_other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


def _damage(path: Path) -> None:
    with open_history(str(path), create=True):
        pass
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"\xff" * 4000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("{}" * 600), "{path} is not a history of pytest-repro, or is damaged: "
         "file is not a database"),
        (_make_other_database, "{path} is a database of another program, not a history of pytest-repro"),
        (_set_format, "{path} is a history of format 2, and this pytest-repro reads format 1: install "
         "another version"),
        (_damage, "{path} is not a history of pytest-repro, or is damaged: "),
        (Path.mkdir, "{path} "),
    ],
)  # fmt: skip
def test_what_is_no_history_is_refused(
    tmp_path: Path, capsys: Any, make: Callable[[Path], object], message: str
) -> None:
    report, history = write_session(tmp_path, 1, {"x": 1.0}), tmp_path / "h.sqlite"
    make(history)
    before = history.read_bytes() if history.is_file() else b""
    for command in (["add", str(history), report], ["show", str(history)], ["since", str(history), "run-1"]):
        code, out, err = run(capsys, "history", *command)
        assert (code, out) == (2, "")
        assert f"pytest-repro history: {message.format(path=history)}" in err
    assert (history.read_bytes() if history.is_file() else b"") == before


def test_a_history_that_is_not_there_is_only_created_by_add(tmp_path: Path, capsys: Any) -> None:
    history = tmp_path / "none.sqlite"
    code, _, err = run(capsys, "history", "show", str(history))
    assert code == 2
    assert f"{history} does not exist; pytest-repro history add {history} REPORT.json creates it" in err
    assert not history.exists()
    history.touch()  # an empty file is an empty database
    report = write_session(tmp_path, 1, {"x": 1.0})
    assert run(capsys, "history", "add", str(history), report)[0] == 0


def test_an_interrupted_addition_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = str(tmp_path / "repro.sqlite")
    path = write_session(tmp_path, 1, {"x": 1.0})
    with open_history(history, create=True) as connection:
        monkeypatch.setattr("pytest_repro.cli.history.add._read_values", lambda row: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            add_report(connection, path)
        monkeypatch.undo()
        assert add_report(connection, path) == f"{path}: added 1 session, 1 test"
        with pytest.raises(BadReport):
            add_report(connection, str(tmp_path / "none.json"))


def test_values_of_any_kind_are_stored(tmp_path: Path, capsys: Any) -> None:
    row = make_row("a", number("x", 1.0)) | {
        "observations": [
            {"name": "nan", "kind": "float", "digest": "a", "values": ["NaN"]},
            {"name": "big", "kind": "int", "digest": "b", "values": [2**127]},
            {"name": "z", "kind": "complex", "digest": "c", "values": [[1.0, -2.0]]},
            {"name": "text", "kind": "str", "digest": "d", "text": "'abc'"},
            {"name": "two", "kind": "float64[2]", "digest": "e", "values": [1.0, 2.0]},
            {"name": "two", "kind": "float64[2]", "digest": "e", "values": [1.0, 2.0]},
            {"name": "two#1", "kind": "float64[2]", "digest": "e", "values": [1.0, 2.0]},
        ]
    }
    history = add(capsys, tmp_path, shard(tmp_path, 1, json.loads(json.dumps(row))))
    lines = show(capsys, history, "--test=test_a.py::a")
    assert [line.split("  ")[1] for line in lines if line.startswith("test_a.py::a  ")] == [
        "nan", "big", "z", "text", "two", "two#1", "two#1#1",
    ]  # fmt: skip
    assert "  equal      in 1 session: 'abc'" in lines


def test_names_that_are_no_text_are_escaped(tmp_path: Path, capsys: Any) -> None:
    name = "test_\udcff.py::a"  # a file whose name is not UTF-8
    row = make_row("a", number("\udcfe", 1.0)) | {"nodeid": name}
    history = add(capsys, tmp_path, shard(tmp_path, 1, row))
    lines = show(capsys, history, f"--test={name}")
    assert r"test_\udcff.py::a  \udcfe  float64[]" in lines

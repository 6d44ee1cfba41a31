"""What a history says of values: since when they differ, what changed with them, whether they alternate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.cli.history.changes import classify
from pytest_repro.cli.history.page import make_line
from pytest_repro.cli.history.series import Content, Point, Series, Session
from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from tests.cli.history.sessions import add, show, write_session
from tests.cli.reports import run

OLD, NEW = {"numpy": "2.3.1"}, {"numpy": "2.4.0"}


def point(day: int, content: int, seed: int = 0, commit: str = "", **fields: str) -> Point:
    commit = commit or f"c{day}"
    named = {**fields, **({"commit": commit} if commit != "?" else {})}
    session = Session(day, "", "", named.get("commit", ""), f"2026-01-{day:02d}", float(day), 0.0, 0.0, named)
    return Point(session, Content(content, "float", float(content), ""), seed, "reproduced")


def course(*points: Point) -> tuple[str, list[tuple[list[str], str]]]:
    """What the value did; for each change the fields that coincide, and the established one."""
    history = classify(Series("test_a.py::a", "x", points))
    changes = [
        ([field.name for field in each.fields], each.established.name if each.established else "")
        for each in history.changes
    ]
    return history.course, changes if history.course == "changed" else [([*history.fields], "")]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        # One field changes with the value.
        ([point(1, 1, n="2.3"), point(2, 2, commit="c1", n="2.4")], ("changed", [(["n"], "n")])),
        ([point(1, 1), point(2, 2)], ("changed", [(["commit"], "commit")])),
        ([point(1, 1, commit="a"), point(2, 2, commit="a", seed=3)], ("changed", [(["seed"], "seed")])),
        # Several do.
        ([point(1, 1, n="2.3"), point(2, 2, n="2.4")], ("changed", [(["commit", "n"], "")])),
        ([point(1, 1), point(2, 2, new="x")], ("changed", [(["commit", "new"], "")])),
        # An earlier session has the new version, and the old value.
        (
            [point(1, 1, n="2.4"), point(2, 1, n="2.3"), point(3, 2, n="2.4")],
            ("changed", [(["commit"], "commit")]),
        ),
        # The commit is unknown, or its files were changed.
        ([point(1, 1, commit="?"), point(2, 2, n="2", commit="?")], ("changed", [(["commit", "n"], "")])),
        ([point(1, 1, commit="?"), point(2, 2, commit="?")], ("changed", [(["commit"], "")])),
        ([point(1, 1, commit="a-dirty"), point(2, 2, commit="a-dirty")], ("changed", [(["commit"], "")])),
        # Nothing changes but the value.
        ([point(1, 1, commit="a"), point(2, 2, commit="a")], ("alternates", [([], "")])),
        ([point(1, 1, commit="a"), point(2, 2), point(3, 2, commit="a")], ("alternates", [([], "")])),
        # It comes and goes with a machine.
        (
            [point(day, day % 2, cpu=f"AVX{day % 2}") for day in range(1, 6)],
            ("follows", [(["cpu"], "")]),
        ),
        (
            [point(day, day % 2, cpu=f"AVX{day % 2}", gpu=f"{day % 2}") for day in range(1, 6)],
            ("follows", [(["cpu", "gpu"], "")]),
        ),
        # It goes back with the version.
        (
            [point(1, 1, n="1"), point(2, 2, n="2"), point(3, 1, n="1")],
            ("follows", [(["n"], "")]),
        ),
        ([point(1, 1), point(2, 1, n="2")], ("equal", [([], "")])),
    ],
)  # fmt: skip
def test_what_a_value_did(points: list[Point], expected: Any) -> None:
    assert course(*points) == expected


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab"), st.sampled_from("xy")), min_size=1))
def test_nothing_is_established_that_the_sessions_contradict(sessions: list[tuple[int, str, str]]) -> None:
    """An established field has no value on both sides of its change; one that is followed has one content."""
    points = [
        point(day % 28 + 1, content, commit=commit, n=version)
        for day, (content, commit, version) in enumerate(sessions)
    ]
    history = classify(Series("t", "x", points))
    contents = [each.content.ident for each in points]
    assert (history.course == "equal") == (len(set(contents)) == 1)
    for name in history.fields:
        pairs = {(each.session.fields[name], each.content.ident) for each in points}
        assert len({value for value, _ in pairs}) == len(pairs)
    for change in history.changes:
        at = next(n for n, each in enumerate(points) if each is change.after)
        old = [each for each in points[:at] if each.content.ident == change.before.content.ident]
        if (field := change.established) is not None:
            assert old[-1].session.fields[field.name] != change.after.session.fields[field.name]
    keys = {(commit, version): content for content, commit, version in sessions}
    is_function = len({*sessions}) == len(keys)
    assert (history.course == "alternates") == (not is_function)


def test_show_says_since_when(tmp_path: Path, capsys: Any) -> None:
    commits = ["a" * 40, "b" * 40, "b" * 40, "c" * 40]
    array = [
        StoredValue("w", "float32[9, 9]", f"{n}{'a' * 31}", statistics=Statistics(mean=n / 4))
        for n in (1, 1, 2, 2)
    ]
    paths = [
        write_session(
            tmp_path, day, {"loss": 0.5 if day < 3 else 0.75, "same": 1.0}, commit, OLD if day < 3 else NEW,
            extra={"cost": {"deterministic": 0.3 * day, "default": 0.3, "ratio": 1.0 * day}}, more=[weights],
        )
        for day, commit, weights in zip(range(1, 5), commits, array)
    ]  # fmt: skip
    history = add(capsys, tmp_path, *reversed(paths))
    assert show(capsys, history) == [
        "4 sessions, 3 commits, commit aaaaaaaaaa (2026-01-01 08:00) to commit cccccccccc (2026-01-04 08:00)",
        "in the order of their start, by the clocks of their machines",
        "3 values: 2 changed, 1 equal in all sessions",
        "",
        "test_a.py::a  loss  float64[]",
        "  changed    once in 4 sessions",
        "             since commit bbbbbbbbbb (2026-01-03 08:00): 0.5, then 0.75",
        "               coincides with numpy 2.3.1 to 2.4.0 only",
        "",
        "test_a.py::a  w  float32[9, 9]",
        "  changed    once in 4 sessions",
        "             since commit bbbbbbbbbb (2026-01-03 08:00): mean 0.25, digest 1aaaaaaa, "
        "then mean 0.5, digest 2aaaaaaa",
        "               coincides with numpy 2.3.1 to 2.4.0 only",
        "",
        "cost of determinism (time with it, relative to time without)",
        "  test_a.py::a  1.00 in commit aaaaaaaaaa (2026-01-01 08:00), 4.00 in commit cccccccccc (2026-01-04 "
        "08:00); 1.00 to 4.00 in 4 sessions",
    ]
    one = show(capsys, history, "--test=test_a.py::a", "--order=added")
    assert one[1:3] == [
        "in the order in which they were added",
        "test_a.py::a: reproduced in 4; 0.75 s in the first session, 0.75 s in the last",
    ]
    assert "  equal      in 4 sessions: 1.0" in one
    assert "             since commit bbbbbbbbbb (2026-01-02 08:00): 0.75, then 0.5" in one
    code, _, err = run(capsys, "history", "show", str(history), "--test=test_b.py::b")
    assert (code, f"{history} has no test test_b.py::b" in err) == (2, True)


def test_a_clock_that_is_wrong_is_named(tmp_path: Path, capsys: Any) -> None:
    paths = [
        write_session(tmp_path, 1, {"x": 1.0}, started="2999-01-01T00:00:00Z"),
        write_session(tmp_path, 2, {"x": 2.0}),
    ]
    history = add(capsys, tmp_path, *paths)
    lines = show(capsys, history)
    (clock,) = (line for line in lines if line.startswith("  clock"))
    assert "commit c001 (2999-01-01 00:00) started " in clock
    assert clock.endswith("s after it was added: a clock is wrong, --order=added does not use it")
    assert any("since commit c001 (2999-01-01 00:00): 2.0, then 1.0" in line for line in lines)
    lines = show(capsys, history, "--order=added")
    assert any("since commit c002 (2026-01-02 08:00): 1.0, then 2.0" in line for line in lines)


@pytest.fixture
def history(tmp_path: Path, capsys: Any) -> Path:
    """Four days: x changes with the commit of day 3, y with numpy on day 3, z is new on day 4."""
    paths = []
    for day, commit in enumerate(
        ["aaaa1" + "0" * 35, "aaaa2" + "0" * 35, "bbbb3" + "0" * 35, "bbbb3" + "0" * 35], 1
    ):
        values = {"x": 1.0 if day < 3 else 2.0, "y": 5.0 if day < 4 else 6.0, "same": 0.0}
        values |= {"z": 1.0} if day == 4 else {}
        paths.append(write_session(tmp_path, day, values, commit, OLD if day < 4 else NEW))
    return add(capsys, tmp_path, *paths)


@pytest.mark.parametrize("since", ["aaaa2", "run-2", "2026-01-03", "2026-01-02T12:00:00+00:00"])
def test_since(history: Path, capsys: Any, since: str) -> None:
    code, out, _ = run(capsys, "history", "since", str(history), since)
    assert code == 0
    assert out.splitlines()[2:] == [
        "2 sessions before, 2 since: 2 of 4 values changed, 1 is new",
        "",
        "since commit bbbb300000 (2026-01-03 08:00): 1 value of 1 test",
        "  coincides with commit aaaa200000 to bbbb300000 only",
        "    test_a.py::a  x  1.0, then 2.0",
        "",
        "since commit bbbb300000 (2026-01-04 08:00): 1 value of 1 test",
        "  coincides with numpy 2.3.1 to 2.4.0 only",
        "    test_a.py::a  y  5.0, then 6.0",
    ]


@pytest.mark.parametrize(
    ("since", "message"),
    [
        ("aaaa", f"aaaa is the beginning of 2 commits: aaaa1{'0' * 35}, aaaa2{'0' * 35}"),
        ("cccc", "cccc is no commit or run of this history, and no date such as 2026-01-31"),
    ],
)
def test_since_what_is_not_there(history: Path, capsys: Any, since: str, message: str) -> None:
    code, _, err = run(capsys, "history", "since", str(history), since)
    assert (code, err) == (2, f"pytest-repro history: {message}\n")


def test_the_page_has_a_line_for_each_value(history: Path, tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "h.html"
    show(capsys, history, f"--html={page}")
    text = page.read_text()
    assert "<h1>2 of 4 values changed.</h1>" in text
    assert text.count('<div class="line">') == 2
    assert '<path d="M8 56L397.3 56L397.3 8L592 8"/>' in text  # x, of four sessions
    assert "coincides with numpy 2.3.1 to 2.4.0 only" in text
    assert "://" not in text.replace("http://www.w3.org/2000/svg", "")
    code, _, err = run(capsys, "history", "show", str(history), f"--html={history}/x")
    assert (code, "cannot be written" in err) == (2, True)


@pytest.mark.parametrize(("period", "corners", "marks"), [(600, 4, 2), (1, 400, 1)])
def test_the_line_of_many_sessions_covers_them_all(period: int, corners: int, marks: int) -> None:
    """It has a dot for each change, unless that would hide it."""
    sessions = [Session(day, "", "", "", "", float(day), 0.0, 0.0, {}) for day in range(1000)]
    contents = [
        Content(day // period % 2, "float", float(day // period % 2), '{"text": "x"}') for day in range(1000)
    ]
    points = [Point(*pair, 0, "reproduced") for pair in zip(sessions, contents)]
    line = make_line(classify(Series("test_a.py::a", "x", tuple(points))), sessions)
    assert (line.path[0][0], line.path[-1][0]) == (8.0, 592.0)
    assert corners <= len(line.path) <= 2 * corners
    assert len(line.marks) == marks
    assert line.description.startswith("1,000 sessions, ")

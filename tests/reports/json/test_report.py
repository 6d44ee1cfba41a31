"""Files that are no reports: one line says what is wrong, and nothing of them is done."""

from __future__ import annotations

import contextlib
import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_repro.cli.commands.show import format_report
from pytest_repro.cli.compare import CompareOptions, compare_reports
from pytest_repro.core.compare.stored_value import Statistics, StoredValue
from pytest_repro.core.plan.plan import Tolerance
from pytest_repro.reports.json import report as report_file
from pytest_repro.reports.json.report import BadReport, build_report, read_report
from pytest_repro.reports.json.rows import verdict_to_row
from tests.cli.commands.test_show import VERDICTS
from tests.cli.reports import run

TOLD = Statistics(0.0, 2.0, 1.0, 0.5, 9.0, 3, ((0, "0.0"), (98, "nan")))
SEEN = [
    StoredValue("x", "complex64[2]", "1" * 32, (1 + 2j, complex("nan"))),
    StoredValue("w", "float32[99]", "2" * 32, statistics=TOLD),
]
GOOD: Any = json.loads(
    json.dumps(build_report([verdict_to_row("a::b", each, SEEN) for each in VERDICTS], 0, {"a": "b"}))
)
HEAD = '{"format": 1, "environment": {}, "seed": 0, "tests": '


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is not JSON: Expecting value at line 1"),
        (b'{"format": 1, "tests": [', "is not JSON: Expecting value at line 1 (cut off?)"),
        (b"\xff\xfe", "is not JSON: it is not UTF-8 text"),
        (b"[" * 200_000, "is nested too deeply"),
        (b"[]", 'is not a report of pytest-repro: it has no "format"'),
        (b'{"tests": []}', "it has no \"format\"; --repro-json=PATH writes one"),
        (b'{"format": "1"}', 'format is "1", not a whole number'),
        (b'{"format": true}', "format is true, not a whole number"),
        (b'{"format": 0}', "format is 0, out of range: 1 or more is expected"),
        (b'{"format": 2}', "is of format 2, and this pytest-repro reads up to format 1: install a newer one"),
        (b'{"format": 1, "x": NaN}', "is not JSON: NaN is not strict JSON"),
        (b'{"format": ' + b"9" * 5000 + b"}", "is not JSON: Exceeds the limit"),
        (HEAD + "3}", ": tests is 3, not a list"),
        (HEAD + "[3]}", ": tests[0] is 3, not an object"),
        (HEAD + '[{"nodeid": 3}]}', ": tests[0].nodeid is 3, not text"),
        (HEAD + "[{}]}", ": tests[0] has no 'nodeid'"),
        (HEAD + '[{"nodeid": "a", "verdict": "good"}]}', "is \"good\", not one of reproduced, diverged"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["show", "compare"])
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, capsys: Any, text: str | bytes, says: str, command: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    code, out, err = run(capsys, command, *[str(path)] * (1 if command == "show" else 2))
    assert (code, out) == (2, "")
    assert says in err
    assert err.startswith(f"pytest-repro {command}: {path}")
    assert err.count("\n") == 1


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadReport, match=r"nope\.json cannot be read: No such file or directory"):
        read_report("nope.json")
    with pytest.raises(BadReport, match="cannot be read: Is a directory"):
        read_report(str(tmp_path))
    with pytest.raises(BadReport, match=r"cannot be read: .*null byte"):
        read_report("a\0b")
    monkeypatch.setattr(report_file, "MAX_REPORT_MIB", 1)
    with pytest.raises(BadReport, match="/dev/zero is larger than 1 MiB"):
        read_report("/dev/zero")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in *value*."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inside for found in places(part, (*path, key)))]


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
    st.just([]), st.just({}), st.lists(st.integers(), max_size=3), st.just(10**400), st.just({"threads": 9}),
)  # fmt: skip


@given(st.sampled_from(places(GOOD)[1:]), JUNK, st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_wrong_it_is_a_bad_report(place: tuple[Any, ...], junk: object, drop: bool) -> None:
    broken = copy.deepcopy(GOOD)
    holder = broken
    for key in place[:-1]:
        holder = holder[key]
    if drop:
        del holder[place[-1]]
    else:
        holder[place[-1]] = junk
    told(json.dumps(broken))


@given(st.recursive(JUNK, lambda inner: st.dictionaries(st.sampled_from(sorted(GOOD)), inner), max_leaves=9))
@settings(deadline=None)
def test_any_json_at_all(value: object) -> None:
    told(json.dumps(value))


def told(text: str) -> None:
    """Shows and compares *text*: lines come out, or a :class:`BadReport`."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        try:
            found = read_report(file.name)
        except BadReport:
            return
        with contextlib.suppress(BadReport):
            assert list(format_report(found))
        with contextlib.suppress(BadReport):
            assert len(compare_reports(found, found, CompareOptions(Tolerance(1, 1), True))) == len(
                found.tests
            )

from __future__ import annotations

import html
import re
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_repro.core.compare.mismatch import Mismatch
from pytest_repro.core.compare.verdict import BASELINE, Baseline, Verdict, VerdictOutcome
from pytest_repro.core.diagnose import Finding
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run
from pytest_repro.core.trace.divergence import Divergence
from pytest_repro.reports.failure.text import format_failure, format_headline
from pytest_repro.reports.github import MAX_SUMMARY_BYTES, format_annotations, format_summary
from pytest_repro.reports.json.rows import verdict_to_row

RUNS = (Run("repeat", 0, "passed", 0.25, 1), Run("repeat", 1, "passed", 0.5, 1))
FOUND = Mismatch("x", "x", 0, "", "repeat", 1, "values", "int", "int")
CAUSE = Finding("os-entropy", "lib/data.py:9", "default_rng() draws its seed", "pass a seed")


def parted(location: str, forward: str = "") -> Divergence:
    return Divergence("value", "aten.add.Tensor", 1, location, forward, "", "", False, "", 0, (), ())


def row(
    nodeid: str = "t/test_a.py::test_b",
    word: VerdictOutcome = "diverged",
    divergence: Divergence | None = None,
    cause: Finding | None = None,
    **more: Any,
) -> dict[str, Any]:
    causes = (cause,) if cause else ()
    found = (FOUND,) if word == "diverged" else ()
    told = verdict_to_row(nodeid, Verdict(word, Plan(), RUNS, found, {"x": 1}, (), divergence, causes))
    bad = word in ("diverged", "unobserved")
    headline = {"headline": "x differs" if word == "diverged" else "observed nothing"} if bad else {}
    return {**told, "location": "t/test_a.py:3", "failed": bad, **headline, **more}


def test_an_annotation_says_what_and_what_to_do() -> None:
    assert list(format_annotations([row(cause=CAUSE, divergence=parted("lib/net.py:7"))], "")) == [
        "::error file=lib/net.py,line=7,title=not reproducible%3A test_b::x differs%0A"
        "cause: os-entropy at lib/data.py:9: default_rng() draws its seed%0Afix: pass a seed%0A"
        "test: t/test_a.py::test_b%0A"
        "replay: pytest t/test_a.py::test_b --repro-seed=0 --repro-runs=2"
    ]
    told = row(cause=CAUSE)
    told["causes"].append(
        {"name": "clock", "location": "a.py:3", "explanation": "reads a clock", "fix": "stop it"}
    )
    (both,) = format_annotations([told], "")
    assert "%0Afix: pass a seed%0Acause: clock at a.py:3: reads a clock%0Afix: stop it%0Atest: " in both
    (nothing,) = format_annotations([row(word="unobserved")], "")
    assert nothing.startswith("::error file=t/test_a.py,line=3,title=observed nothing%3A test_b::")
    assert "fix: record what must stay the same" in nothing


@pytest.mark.parametrize(
    ("base", "divergence", "cause", "where"),
    [
        ("", parted("a.py:1", "b.py:2"), CAUSE, "file=b.py,line=2"),
        (".", parted("a.py:1"), CAUSE, "file=a.py,line=1"),
        ("", parted(""), CAUSE, "file=lib/data.py,line=9"),
        ("", parted("/venv/lib/nn.py:5"), None, "file=t/test_a.py,line=3"),
        ("", parted("C:\\venv\\nn.py:5"), None, "file=t/test_a.py,line=3"),
        ("", parted("<string>:5"), None, "file=t/test_a.py,line=3"),
        ("", parted("../other/nn.py:5"), None, "file=t/test_a.py,line=3"),
        ("sub/dir", parted("../nn.py:5"), None, "file=sub/nn.py,line=5"),
        ("sub", parted("src\\nn.py:5"), None, "file=sub/src/nn.py,line=5"),
        ("", parted("a,b:c%.py:5"), None, "file=t/test_a.py,line=3"),
        ("", parted("a,b%.py:5"), None, "file=a%2Cb%25.py,line=5"),
        ("../elsewhere", None, None, "title=not"),
    ],
)
def test_it_stands_at_a_line_of_the_repository(
    base: str, divergence: Divergence | None, cause: Finding | None, where: str
) -> None:
    (line,) = format_annotations([row(divergence=divergence, cause=cause)], base)
    assert line.startswith(f"::error {where}")


def test_what_is_no_failure_of_ours_is_not_annotated() -> None:
    rows = [row(word="reproduced"), row(failed=False, expected=True), row(word="failed", failed=False)]
    assert list(format_annotations(rows, "")) == []
    lost = row(word="failed", failed=True)
    lost["runs"][1] = {**lost["runs"][1], "outcome": "failed", "reason": "the companion died"}
    (line,) = format_annotations([lost], "")
    assert "title=not compared%3A test_b::the companion died" in line


def test_what_github_would_drop_is_counted() -> None:
    lines = list(format_annotations([row() for _ in range(25)], ""))
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 10 + ["::notice"]
    assert "15 more failing tests" in lines[-1]


@given(st.text(), st.text())
def test_a_command_is_one_line_that_reads_back(nodeid: str, headline: str) -> None:
    (line,) = format_annotations([row(f"t.py::{nodeid}", headline=headline)], "")
    assert not re.search(r"[\r\n]", line)
    found = re.fullmatch(r"::error file=t/test_a.py,line=3,title=([^:,]*)::(.*)", line, re.DOTALL)
    assert found is not None
    escapes = [("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")]
    title, message = (
        reduce(lambda text, each: text.replace(*each), escapes, part) for part in found.groups()
    )
    assert title == f"not reproducible: {nodeid}"
    assert message.startswith(f"{headline}\n")


def test_the_summary_of_a_step() -> None:
    text = format_summary([row(cause=CAUSE), row(word="reproduced")], {"torch": "2.13"}, 7, MAX_SUMMARY_BYTES)
    assert text == (
        "### Reproducibility: 2 compared (1 reproduced, 1 diverged), 0 observed nothing\n"
        "\n"
        "\n"
        "| verdict | test | what | cause | fix |\n"
        "|-|-|-|-|-|\n"
        "| diverged | t/test&#95;a.py&#58;&#58;test&#95;b | x differs | os-entropy at lib/data.py&#58;9&#58; "
        "default&#95;rng&#40;&#41; draws its seed | pass a seed |\n"
        "\n"
        "<details><summary>The failures in full</summary>\n"
        "\n"
        "<pre>t/test_a.py::test_b is not reproducible (bit for bit, 2 runs, seed 0)\n"
        "\n"
        "  x   int   run 2 differs from run 1\n"
        "    \n"
        "\n"
        "  cause      os-entropy at lib/data.py:9\n"
        "             default_rng() draws its seed\n"
        "  fix        pass a seed\n"
        "  replay     pytest t/test_a.py::test_b --repro-seed=0 --repro-runs=2</pre>\n"
        "\n"
        "</details>\n"
        "\n"
        "<details><summary>Environment</summary>\n"
        "\n"
        "| | |\n"
        "|-|-|\n"
        "| seed | 7 |\n"
        "| torch | 2.13 |\n"
        "\n"
        "</details>\n"
        "\n"
    )


@given(st.text())
def test_nothing_in_a_cell_is_markup(odd: str) -> None:
    text = format_summary([row(f"t.py::{odd}", headline=odd)], {odd or "x": odd}, 0, MAX_SUMMARY_BYTES)
    (line,) = [line for line in text.split("\n") if line.startswith("| diverged")]
    assert re.fullmatch(r"(\| ([\w .,/=;?-]|&#\d+;)* ){5}\|", line), line
    assert "_" not in line
    cells = [html.unescape(cell.strip(" ")) for cell in line.split("|")[1:-1]]
    plain = re.sub(r"[\x00-\x1f]", " ", odd)
    if re.fullmatch(r"[\x20-\x7e]*", plain):
        assert cells[2] == plain.strip(" ")
    outside = re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)
    assert set(re.findall(r"<[^>]*>", outside)) <= {"<details>", "<summary>", "</summary>", "</details>"}


def test_a_summary_keeps_within_its_room() -> None:
    rows = [row(f"t.py::test[{n}-{'é' * 300}]", headline="<" * 300) for n in range(3000)]
    for room in (20_000, MAX_SUMMARY_BYTES):
        text = format_summary(rows, {"torch": "2.13"}, 0, room)
        assert room / 2 < len(text.encode()) <= room
        assert "3000 diverged" in text.splitlines()[0]
        assert re.search(r"\| \d+ more \|", text)
        assert re.search(r"… and \d+ more", text)
        assert text.count("<pre>") == text.count("</pre>")
        assert text.endswith("</details>\n\n")


@pytest.mark.parametrize(
    ("word", "stored", "title", "fix"),
    [
        ("diverged", Baseline("g.json", "k", "k"), "differs from its golden file",
         "to accept the values of this run, {}"),
        ("no-baseline", Baseline("g.json", "k"), "no baseline", "{}"),
        ("no-baseline", Baseline("g.json", "k", read_error="is empty"), "no baseline",
         "restore the file from version control, or delete it and write a new one: {}"),
        ("foreign-baseline", Baseline("g.json", "k", "l", {"numpy": ("2", "1")}),
         "baseline of another environment only", "{}"),
    ],
)  # fmt: skip
def test_golden_files_are_told(word: VerdictOutcome, stored: Baseline, title: str, fix: str) -> None:
    found = (replace(FOUND, axis=BASELINE, value="k"),) if word == "diverged" else ()
    verdict = Verdict(
        word, Plan(), RUNS, found, {"x": 1}, baseline=replace(stored, options=" --repro-seed=3")
    )
    nodeid = "t/test_a.py::test_b"
    told = {**verdict_to_row(nodeid, verdict), "failed": True, "headline": format_headline(verdict)}
    how = fix.format(f"pytest {nodeid} --repro-update --repro-seed=3")
    (line,) = format_annotations([told], "")
    assert line.startswith(
        f"::error title={title}%3A test_b::{format_headline(verdict)}%0Afix: {how}%0Atest: "
    )
    text = format_summary([told], {}, 0, MAX_SUMMARY_BYTES)
    assert f"<pre>{html.escape(format_failure(nodeid, verdict))}</pre>" in text
    assert "--repro-update --repro-seed=3 |" in text


def test_a_row_that_does_not_hang_together_ends_no_session() -> None:
    odd = {**row(), "mismatches": [{**row()["mismatches"][0], "axis": BASELINE, "value": "k"}]}
    (line,) = format_annotations([odd], "")
    assert line.endswith("test: t/test_a.py::test_b")

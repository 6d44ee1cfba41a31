"""Executes the README: pytest prints its console output; checks the links of all pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, read_blocks, run_console, without_numbers, write_files

README = ROOT / "README.md"
PAGES = sorted([*ROOT.glob("*.md"), *(p for p in ROOT.glob("docs/**/*.md") if "generated" not in p.parts)])


def test_the_example_prints_the_output_shown(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    blocks = list(read_blocks(README.read_text()))
    write_files(blocks, tmp_path)
    (console,) = (block for block in blocks if block.language == "console")
    assert without_numbers(run_console(console, tmp_path)) == without_numbers(console.text)


def test_the_readme_and_the_start_page_show_one_example() -> None:
    readme, start = ([*read_blocks(path.read_text())] for path in (README, ROOT / "docs" / "index.md"))
    files = [{block.file: block.text for block in blocks if block.file} for blocks in (readme, start)]
    assert files[0] == files[1]


def test_the_examples_end_as_shown() -> None:
    """The lines are those of the examples' first run; the suite runs three of them, see test_examples."""
    (shown,) = (b.text for b in read_blocks(README.read_text()) if "what the examples show" in b.text)
    trees = {path.stem: ast.parse(path.read_text()) for path in ROOT.glob("examples/**/test_*.py")}
    lines = [
        f"{name}: {(ast.get_docstring(trees[name]) or '').partition(chr(10))[0]}" for name in sorted(trees)
    ]
    assert max(map(len, lines)) <= 80
    *examples, gap, total = shown.splitlines()[1:]
    assert (examples, gap) == (lines[: len(examples)], "…")
    tests = [
        node
        for tree in trees.values()
        if "importorskip" not in ast.unparse(tree)
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    failing = sum("xfail" in ast.unparse(each) for node in tests for each in node.decorator_list)
    skipped = sum("importorskip" in ast.unparse(tree) for tree in trees.values())
    counts = f"{len(tests) - failing} passed, {skipped} skipped, {failing} xfailed in "
    assert total.startswith(counts)


def test_the_readme_fits_on_a_page() -> None:
    assert len(README.read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = {page.parent / link for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)}
    paths = {path for path in re.findall(r"`([a-z_]+/[\w./]+)`", text) if "NAME" not in path}
    missing = {
        path for path in paths if not any((ROOT / top / path).exists() for top in ("", "pytest_repro"))
    }
    assert missing - GENERATED == set()
    assert [link for link in links if not link.exists() and "generated" not in link.parts] == []


GENERATED = {"__repro__/test_x.json", "__repro__/"}
"""Paths in projects of users."""

"""Executes every page of the documentation: its commands print what it shows, its fixed tests pass."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from pytest_repro.axes import list_axis_names
from pytest_repro.core.plan.arguments import ARGUMENTS
from pytest_repro.engine.experiments.fork import FORK_AVAILABLE
from tests.docs.pages import (
    DOCS,
    Block,
    find_libraries,
    list_pages,
    read_blocks,
    run_console,
    without_numbers,
    write_files,
)

PAGES = [page for page in list_pages() if any(read_blocks(page.read_text()))]
WITH_LIBRARIES = {page for page in PAGES if find_libraries(list(read_blocks(page.read_text())))}
_TORCH = re.compile("^(import|from) torch", re.MULTILINE)
LANGUAGES = {"", "console", "python", "toml", "ini", "text"}


def make_parameter(page: Path) -> Any:
    marks = [pytest.mark.libraries] if page in WITH_LIBRARIES else []
    return pytest.param(page, id=str(page.relative_to(DOCS).with_suffix("")), marks=marks)


def read_installed(page: Path) -> list[Block]:
    """The blocks of a page whose libraries are installed."""
    pytest.importorskip("torch")
    blocks = list(read_blocks(page.read_text()))
    if missing := [name for name in sorted(find_libraries(blocks)) if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    return blocks


@pytest.mark.parametrize("page", [make_parameter(page) for page in PAGES])
def test_the_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    blocks = read_installed(page)
    assert {block.language for block in blocks if block.language[:1] != "{"} <= LANGUAGES
    write_files(blocks, tmp_path)
    imported = ["torch"] if any(_TORCH.search(block.text) for block in blocks if block.file) else []
    for block in blocks:
        if block.language == "console":
            printed = run_console(block, tmp_path, imported if FORK_AVAILABLE else None)
            assert "\nERROR: " not in printed
            assert not block.is_stable or without_numbers(printed) == without_numbers(block.text)


def has_fix(page: Path) -> bool:
    return any(block.file.endswith("_fixed.py") for block in read_blocks(page.read_text()))


FIXED = {page for page in PAGES if has_fix(page)}


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param(FIXED - WITH_LIBRARIES, id="most"),
        pytest.param(FIXED & WITH_LIBRARIES, id="libraries", marks=pytest.mark.libraries),
    ],
)
def test_the_fix_makes_the_test_reproducible(pages: set[Path], pytester: pytest.Pytester) -> None:
    """All in one session: each companion imports torch once."""
    blocks = [block for page in pages for block in read_installed(page) if block.file.endswith("_fixed.py")]
    assert len({block.file for block in blocks}) == len(pages) > 0
    pytester.makepyfile(**{Path(block.file).stem: block.text for block in blocks})
    vary = [f"--repro-vary={axis}" for axis in ("process", "order", "memory")]
    result = pytester.runpytest_subprocess("-p", "repro", "-p", "no:cacheprovider", *vary)
    result.assert_outcomes(passed=len(blocks))


def test_every_python_block_is_executed() -> None:
    """A block without a file name is executed nowhere."""
    for page in PAGES:
        for block in read_blocks(page.read_text()):
            assert block.language != "python" or block.file, f"{page.name}: {block.text[:80]}"
            commands = [b.text for b in read_blocks(page.read_text()) if b.language == "console"]
            assert not block.file or block.file.endswith("_fixed.py") or block.file in "".join(commands)


def test_the_marker_page_has_every_argument() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (DOCS / "reference" / "marker.md").read_text(), re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert set(ARGUMENTS) - set(names) == set()
    assert set(names) - set(ARGUMENTS) <= set(list_axis_names())


def test_every_cause_has_a_page() -> None:
    from pytest_repro.causes import list_cause_names

    pages = {path.stem for path in (DOCS / "causes").glob("*.md")}
    assert set(list_cause_names()) - pages == set()
    text = (DOCS / "causes" / "index.md").read_text()
    assert [name for name in pages - {"index"} if f"({name}.md)" not in text] == []

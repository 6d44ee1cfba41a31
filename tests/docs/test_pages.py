"""Executes every page of the documentation: its commands print what it shows, its fixed tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import (
    DOCS,
    find_missing_libraries,
    list_pages,
    read_blocks,
    run_console,
    without_numbers,
    write_files,
)

PAGES = [page for page in list_pages() if any(read_blocks(page.read_text()))]
LANGUAGES = {"", "console", "python", "toml", "ini"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS).with_suffix("")))
def test_the_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    blocks = list(read_blocks(page.read_text()))
    if missing := find_missing_libraries(blocks):
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert {block.language for block in blocks if block.language[:1] != "{"} <= LANGUAGES
    write_files(blocks, tmp_path)
    for block in blocks:
        if block.language == "console":
            printed = run_console(block, tmp_path)
            assert "\nERROR: " not in printed
            assert not block.is_stable or without_numbers(printed) == without_numbers(block.text)


FIXED = [
    pytest.param(page, id=page.stem)
    for page in PAGES
    if any(block.file.endswith("_fixed.py") for block in read_blocks(page.read_text()))
]


@pytest.mark.parametrize("page", FIXED)
def test_the_fix_makes_the_test_reproducible(page: Path, pytester: pytest.Pytester) -> None:
    pytest.importorskip("torch")
    for block in read_blocks(page.read_text()):
        if block.file.endswith("_fixed.py"):
            pytester.makepyfile(**{Path(block.file).stem: block.text})
    vary = [f"--repro-vary={axis}" for axis in ("process", "order", "memory")]
    result = pytester.runpytest_subprocess("-p", "repro", "-p", "no:cacheprovider", *vary)
    result.assert_outcomes(passed=1)


def test_every_python_block_is_executed() -> None:
    """A block without a file name is executed nowhere."""
    for page in PAGES:
        for block in read_blocks(page.read_text()):
            assert block.language != "python" or block.file, f"{page.name}: {block.text[:80]}"
            commands = [b.text for b in read_blocks(page.read_text()) if b.language == "console"]
            assert not block.file or block.file.endswith("_fixed.py") or block.file in "".join(commands)


def test_every_cause_has_a_page() -> None:
    from pytest_repro.causes import list_cause_names

    pages = {path.stem for path in (DOCS / "causes").glob("*.md")}
    assert set(list_cause_names()) - pages == set()
    text = (DOCS / "causes" / "index.md").read_text()
    assert [name for name in pages - {"index"} if f"({name}.md)" not in text] == []

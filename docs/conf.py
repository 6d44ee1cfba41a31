"""Builds the documentation: ``sphinx-build -W docs build/site``."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import pytest_repro  # noqa: E402

project = "pytest-repro"
copyright = "the pytest-repro developers"
version = release = pytest_repro.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["width.css"]
html_show_sourcelink = False
html_copy_source = False
html_title = f"pytest-repro {release}"
exclude_patterns = ["decisions/README.md"]
myst_heading_anchors = 3
myst_links_external_new_tab = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Warns", "returns_style"), ("Yields", "returns_style")]
copybutton_prompt_text = "$ "

_FILE = re.compile(r'^```(\w+) title="([^"]+)"$', re.MULTILINE)


def show_file_names(app: Any, page: str, source: list[str]) -> None:
    """Shows the file name of a block above it."""
    source[0] = _FILE.sub(r"```{code-block} \1\n:caption: \2\n", source[0]).replace(
        "```console varies", "```console"
    )


def setup(app: Any) -> None:
    """Writes the pages of the reference before Sphinx reads them."""
    import reference_pages

    app.connect("builder-inited", lambda app: reference_pages.write_all(HERE / "reference" / "generated"))
    app.connect("source-read", show_file_names)

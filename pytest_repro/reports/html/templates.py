"""Loads the templates and styles of the page."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent

# XML 1.0 has no way to write these: control characters except tab and line ends, and lone surrogates.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@cache
def load_template(name: str) -> Any:
    r"""A jinja2 template that escapes markup, and writes characters that XML cannot hold as ``\x1b``."""
    from jinja2 import Environment, FileSystemLoader

    def finalize(value: Any) -> Any:
        return _NOT_XML.sub(lambda match: ascii(match[0])[1:-1], value) if type(value) is str else value

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = lambda number: f"{number:.1f}".removesuffix(".0")
    return environment.get_template(name)


def read_styles(*names: str) -> str:
    """The style sheets *names*, joined."""
    return "".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)

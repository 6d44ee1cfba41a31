"""The templates, style sheets and colours of the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pytest_repro.metrics._arguments import format_percent, format_seeds
from pytest_repro.reports.html.scales import format_number

_FOLDER = Path(__file__).parent

LIGHT = {
    "page": "#f7f5f0", "card": "#ffffff", "well": "#f3f0e9", "ink": "#1b1e23", "soft": "#555b65",
    "rule": "#ddd8cc", "focus": "#0b57d0",
    "good": "#17693f", "good-tint": "#e5f2ea", "bad": "#b0241b", "bad-tint": "#fcebe6",
    "warn": "#7d4b00", "warn-tint": "#faeed6", "idle": "#555b65", "idle-tint": "#ebe8e1",
    "ours": "#0a6585", "theirs": "#bd3a08",
}  # fmt: skip
DARK = {
    "page": "#121418", "card": "#1a1d23", "well": "#22262d", "ink": "#ebe8e2", "soft": "#abb0ba",
    "rule": "#343942", "focus": "#8ab4ff",
    "good": "#74d19b", "good-tint": "#172a20", "bad": "#ff9385", "bad-tint": "#321e1c",
    "warn": "#f0bf66", "warn-tint": "#2f2614", "idle": "#b4b9c3", "idle-tint": "#272b32",
    "ours": "#5fc4e8", "theirs": "#ff9f68",
}  # fmt: skip

# XML 1.0 has no way to write these: control characters except tab and line ends, and lone surrogates.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def escape_not_xml(text: str) -> str:
    r"""*text* with characters that XML cannot hold as ``\x1b``."""
    return _NOT_XML.sub(lambda match: ascii(match[0])[1:-1], text)


@cache
def load_template(name: str) -> Any:
    r"""A jinja2 template that escapes markup, and writes characters that XML cannot hold as ``\x1b``."""
    from jinja2 import Environment, FileSystemLoader

    def finalize(value: Any) -> Any:
        return escape_not_xml(value) if type(value) is str else value

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "n": lambda number: f"{number:.1f}".removesuffix(".0"),
        "number": format_number,
        "percent": lambda share: "–" if share is None else format_percent(share),
        "seeds": lambda seeds: format_seeds(seeds) if seeds else "–",
    }
    return environment.get_template(name)


def render_template(
    name: str,
    styles: Iterable[str],
    tints: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    **context: Any,
) -> str:
    """The template *name* with the style sheets *styles*; *tints* are more colours, light and dark."""
    light, dark = (_format_css_variables({**own, **more}) for own, more in zip((LIGHT, DARK), tints))
    css = "".join((_FOLDER / sheet).read_text(encoding="utf-8") for sheet in styles)
    return str(load_template(name).render(light=light, dark=dark, styles=css, **context))


def _format_css_variables(colours: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())

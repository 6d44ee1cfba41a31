"""The colours of the page in light and dark mode."""

from __future__ import annotations

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


def format_css_variables(colours: dict[str, str]) -> str:
    """*colours* as CSS custom properties."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())

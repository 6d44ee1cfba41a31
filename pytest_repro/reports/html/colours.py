"""The colours of the page, by light and by dark, and which of them lie on which."""

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

TEXT_PAIRS: tuple[tuple[str, str], ...] = (
    *((ink, ground) for ink in ("ink", "soft") for ground in ("page", "card", "well")),
    ("ink", "bad-tint"),
    ("soft", "bad-tint"),
    *((f"{word}", f"{word}-tint") for word in ("good", "bad", "warn", "idle")),
    *((word, ground) for word in ("good", "bad", "warn", "idle") for ground in ("page", "card")),
    *((line, ground) for line in ("ours", "theirs") for ground in ("card", "bad-tint", "well")),
    ("focus", "page"),
    ("focus", "card"),
)
"""Text and what it lies on: a contrast of 4.5 at least, WCAG 2.2, 1.4.3."""


def format_css_variables(colours: dict[str, str]) -> str:
    """*colours* as the custom properties of a style sheet."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    """The contrast of two colours ``#rrggbb``, 1 … 21, by the definition of WCAG 2.2."""
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)

"""Text of others' for a terminal."""

from __future__ import annotations

from typing import Any


def escape_unprintable(text: str) -> str:
    r"""*text* with everything that a terminal would obey, such as escapes, as ``\x1b``.

    A report or a golden file may come from a fork's pull request, and names hold what their author likes.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_surrogates(value: Any) -> Any:
    r"""Plain data whose texts another process can be sent: a lone surrogate is written ``\ud800``."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {escape_surrogates(key): escape_surrogates(each) for key, each in value.items()}
    return type(value)(map(escape_surrogates, value)) if type(value) in (list, tuple) else value

"""Text of others' for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""*text* with everything that a terminal would obey, such as escapes, as ``\x1b``.

    A report or a golden file may come from a fork's pull request, and names hold what their author likes.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

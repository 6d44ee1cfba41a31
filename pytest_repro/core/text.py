"""Text from untrusted sources, made safe for terminals and for other processes."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from typing import Any


def escape_unprintable(text: str) -> str:
    r"""*text* with everything that controls a terminal escaped, such as ``\x1b``.

    Reports and golden files may come from a fork's pull request, and recorded names are arbitrary.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def parse_time(text: str) -> datetime | None:
    """The time of ``"2026-01-31T08:00:00Z"``, in UTC unless it says otherwise; None if *text* has none."""
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone.utc)


def quote_word(text: str) -> str:
    r"""*text* as one word of a shell; with control characters as ``$'a\U0000000ab'``, on one line."""
    if text.isprintable():
        return shlex.quote(text)
    quoted = text.replace("\\", r"\\").replace("'", r"\'")
    return "$'" + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted) + "'"


def escape_surrogates(value: Any) -> Any:
    r"""Plain data without lone surrogates, which cannot be sent to another process: ``\ud800`` instead."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {escape_surrogates(key): escape_surrogates(item) for key, item in value.items()}
    return type(value)(map(escape_surrogates, value)) if type(value) in (list, tuple) else value

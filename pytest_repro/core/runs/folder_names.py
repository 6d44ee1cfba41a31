"""Names of temporary folders, which have another number in each run, replaced in what it records."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import Enum
from functools import cached_property
from pathlib import PurePath
from typing import Any


def _format_pattern(name: str) -> str:
    is_path = os.path.basename(name) != name
    return rf"(?<!\w){re.escape(name)}(?!\w)" if is_path else rf"(?<![^/\\]){re.escape(name)}(?![^/\\])"


class FolderNames:
    """Writes text, bytes and paths with a folder's name without its number: ``<tmp>/test_x/model.pt``.

    Args:
        names: Path of a folder, or its name alone → what is written instead. A name counts only as a part of
            a path or as the whole text: ``"test_x1"`` in a sentence may be anything.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._encoded = [name.encode("utf-8", "surrogatepass") for name in names]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(_format_pattern, sorted(self._names, key=len, reverse=True))))

    @cached_property
    def _encoded_pattern(self) -> re.Pattern[bytes]:
        return re.compile(b"|".join(map(re.escape, self._encoded)))

    def _replace(self, text: str) -> str:
        if not any(map(text.__contains__, self._names)):
            return text
        return self._pattern.sub(lambda found: self._names[found[0]], text)

    def _replace_in_bytes(self, content: bytes) -> bytes:
        if not any(map(content.__contains__, self._encoded)):
            return content
        text = content.decode("utf-8", "surrogateescape")
        return self._replace(text).encode("utf-8", "surrogateescape")

    def rename(self, value: Any) -> Any:
        """*value*, or one like it with other names; of a container only keys and members.

        Of a buffer, it is the bytes.
        """
        kind, changed = type(value), value
        if kind is memoryview:
            return self._replace_in_bytes(bytes(value)) if self._encoded_pattern.search(value) else value
        if issubclass(kind, Enum):
            return value
        if issubclass(kind, str):
            changed = self._replace(value)
        elif issubclass(kind, (bytes, bytearray)):
            changed = kind(self._replace_in_bytes(value))
        elif issubclass(kind, PurePath) and kind.__module__.startswith("pathlib"):
            changed = kind(self._replace(str(value)))
        elif kind in (set, frozenset):
            changed = kind(map(self._rename_key, value))
        elif issubclass(kind, dict):
            changed = {self._rename_key(key): part for key, part in value.items()}
            return value if changed.keys() == value.keys() else changed
        elif kind.__module__ == "numpy" and getattr(getattr(value, "dtype", None), "kind", "") in ("U", "S"):
            return self._rename_array(value)
        return value if changed is value or changed == value else changed

    def _rename_key(self, key: Any) -> Any:
        """A key of a dict or a member of a set, with everything in it."""
        return tuple(map(self._rename_key, key)) if type(key) is tuple else self.rename(key)

    def _rename_array(self, array: Any) -> Any:
        changed = array.astype(object)
        changed.flat = [self.rename(text) for text in array.ravel().tolist()]
        return array if (changed == array).all() else changed.astype(array.dtype.kind)

"""What a set-up printed in which wider fixtures were made: no later one prints it."""

from __future__ import annotations

import pytest


class SetUpOutput:
    """What the set-ups of one test print.

    Attributes:
        wide: Whether fixtures wider than the test were made.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item, self.wide = item, False
        self._kept: list[tuple[str, str, str]] | None = None

    def keep(self) -> None:
        """Keeps what the set-up printed that made wider fixtures."""
        if self.wide and self._kept is None:
            self._kept = [s for s in self._item._report_sections if s[0] == "setup"]

    def give(self) -> None:
        """Puts that in place of what the last set-up printed: it holds the function fixtures' too."""
        sections = self._item._report_sections
        if self._kept is not None:
            sections[:] = [*self._kept, *(s for s in sections if s[0] != "setup")]

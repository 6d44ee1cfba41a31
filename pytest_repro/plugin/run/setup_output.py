"""What a set-up printed in which wider fixtures were made: no later one prints it."""

from __future__ import annotations

import pytest


class SetupOutput:
    """What the set-ups of one test print.

    Attributes:
        has_wider_fixtures: Whether fixtures wider than the test were made.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item, self.has_wider_fixtures = item, False
        self._saved_sections: list[tuple[str, str, str]] | None = None

    def save(self) -> None:
        """Keeps what the set-up printed that made wider fixtures."""
        if self.has_wider_fixtures and self._saved_sections is None:
            self._saved_sections = [s for s in self._item._report_sections if s[0] == "setup"]

    def restore(self) -> None:
        """Puts that in place of what the last set-up printed: it holds the function fixtures' too."""
        sections = self._item._report_sections
        if self._saved_sections is not None:
            sections[:] = [*self._saved_sections, *(s for s in sections if s[0] != "setup")]

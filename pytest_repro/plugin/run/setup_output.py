"""Output of the set-up that made the wider fixtures: no later set-up prints it again."""

from __future__ import annotations

import pytest


class SetupOutput:
    """What the set-ups of one test print."""

    def __init__(self, item: pytest.Item) -> None:
        self._item, self._has_wider_fixtures = item, False
        self._saved_sections: list[tuple[str, str, str]] | None = None

    def note_wider_fixture(self) -> None:
        """Notes that a fixture wider than the test was made."""
        self._has_wider_fixtures = True

    def save(self) -> None:
        """Keeps what a set-up printed that made wider fixtures."""
        if self._has_wider_fixtures and self._saved_sections is None:
            self._saved_sections = [s for s in self._item._report_sections if s[0] == "setup"]

    def restore(self) -> None:
        """Replaces what the last set-up printed: the kept output holds the function fixtures' too."""
        sections = self._item._report_sections
        if self._saved_sections is not None:
            sections[:] = [*self._saved_sections, *(s for s in sections if s[0] != "setup")]

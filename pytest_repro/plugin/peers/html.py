"""pytest-html: the verdict stands in a test's row, and what differs is drawn in it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pytest

from pytest_repro.plugin.peers import Peer

_SHOWN = 2
"""Pictures in a row: the page of --repro-html has them all."""


class Html(Peer):
    """Its rows show what hangs on a report as ``extras``; under xdist the controller writes it."""

    module = "pytest_html.plugin"

    def draws(self, config: pytest.Config) -> bool:
        return bool(config.getoption("htmlpath", None))

    def reported(self, report: pytest.TestReport, row: Mapping[str, Any]) -> None:
        if "verdict" not in row:
            return
        told: Any = report
        told.extras = [*getattr(report, "extras", []), _extra(_shown(row))]


def _extra(content: str) -> dict[str, str | None]:
    """What ``pytest_html.extras.html`` would make of *content*."""
    return {"name": None, "format_type": "html", "content": content, "mime_type": None, "extension": None}


def _shown(row: Mapping[str, Any]) -> str:
    """Verdict, cause and drawings as markup."""
    from pytest_repro.reports.html.labels import look
    from pytest_repro.reports.html.page import standing

    cause = row.get("cause", {})
    words = [row["verdict"], row.get("headline", ""), *(cause[k] for k in ("name", "fix") if k in cause)]
    line = " · ".join(escape(str(each)) for each in words if each)
    pictures = row.get("page", {}).get("pictures", ())[:_SHOWN]
    drawn = standing({**each, "id": f"repro-{row['key']}-{n}"} for n, each in enumerate(pictures))
    said = f"<p>{look(row['verdict']).sign} {line}</p>"
    return f'<div class="repro-verdict" style="white-space:normal;padding:8px 0">{said}{drawn}</div>'


peer = Html()

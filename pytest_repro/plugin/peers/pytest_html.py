"""pytest-html: a test's row shows the verdict and plots of what differs."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import pytest

from pytest_repro.plugin.peers import Peer

_MAX_PLOTS = 2
"""Plots in a row: the page of --repro-html has them all."""


class Html(Peer):
    """Adds ``extras`` to a report; under pytest-xdist the controller writes them."""

    module = "pytest_html.plugin"

    def can_show_plots(self, config: pytest.Config) -> bool:
        return bool(config.getoption("htmlpath", None))

    def extend_report(self, report: pytest.TestReport, row: Mapping[str, Any]) -> None:
        if "verdict" not in row:
            return
        extra = {"name": None, "format_type": "html", "mime_type": None, "extension": None}
        extra["content"] = _format_verdict(row)  # as pytest_html.extras.html(…)
        untyped_report: Any = report
        untyped_report.extras = [*getattr(report, "extras", []), extra]


def _format_verdict(row: Mapping[str, Any]) -> str:
    """Verdict, cause and plots as markup."""
    from pytest_repro.reports.html.labels import get_verdict_style
    from pytest_repro.reports.html.page import render_fragment

    cause = row.get("cause", {})
    words = [row["verdict"], row.get("headline", ""), *(cause[k] for k in ("name", "fix") if k in cause)]
    line = " · ".join(escape(str(each)) for each in words if each)
    pictures = row.get("page", {}).get("pictures", ())[:_MAX_PLOTS]
    drawn = render_fragment({**each, "id": f"repro-{row['key']}-{n}"} for n, each in enumerate(pictures))
    paragraph = f"<p>{get_verdict_style(row['verdict']).symbol} {line}</p>"
    return f'<div class="repro-verdict" style="white-space:normal;padding:8px 0">{paragraph}{drawn}</div>'


peer = Html()

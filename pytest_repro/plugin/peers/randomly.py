"""pytest-randomly: a companion shuffles and seeds as this session does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_repro.plugin.peers import Peer


class Randomly(Peer):
    """Without pytest-xdist it tells its seed to nobody, and asks every worker for it."""

    module = "pytest_randomly"

    def get_workerinput(self, config: pytest.Config) -> Mapping[str, object]:
        return {"randomly_seed": config.getoption("randomly_seed", 0)}


peer = Randomly()

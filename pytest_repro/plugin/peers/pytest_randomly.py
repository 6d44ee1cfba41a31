"""pytest-randomly: a companion shuffles and seeds as this session does."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pytest_repro.plugin.peers import Peer


class Randomly(Peer):
    """Sends the seed, which pytest-randomly does only through pytest-xdist."""

    def get_workerinput(self, config: pytest.Config) -> Mapping[str, object]:
        return {"randomly_seed": config.getoption("randomly_seed", 0)}


peer = Randomly()

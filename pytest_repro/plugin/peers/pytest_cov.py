"""pytest-cov: a companion measures too, and leaves its data where this session combines it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import pytest

from pytest_repro.plugin.peers import Peer


class Cov(Peer):
    """What pytest-cov sends to its workers, which only a session of pytest-xdist does."""

    def get_workerinput(self, config: pytest.Config) -> Mapping[str, object]:
        host, topdir = socket.gethostname(), os.getcwd()
        return {"cov_master_host": host, "cov_master_topdir": topdir, "cov_master_rsync_roots": []}


peer = Cov()

"""A file is replaced at once, or stays as it is."""

from __future__ import annotations

import os
import resource
import signal
import stat
import threading
from pathlib import Path

import pytest

from pytest_repro.core.files import replace_file


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    replace_file(path, ["é\ud800", b"\n"])
    assert path.read_bytes() == "é\\ud800\n".encode()
    path.chmod(0o640)
    replace_file(path, ["second"])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            replace_file(path, ("x" * 1000 for _ in range(10)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [(each.name, each.read_text()) for each in path.parent.iterdir()] == [("report.json", "second")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    replace_file(tmp_path / "link", ["new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_a_pipe_and_a_device_are_written_to(tmp_path: Path) -> None:
    replace_file(Path(os.devnull), ["gone"])
    assert not Path(os.devnull).is_file()
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    replace_file(tmp_path / "pipe", ["sent"])
    reader.join()
    assert read == ["sent"]

"""The launcher of a group of ranks: runs torch's elastic agent in a companion."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_repro.companions.companion import format_stderr_tail
from pytest_repro.companions.ranks.rank_main import ADDRESS_VARIABLE

_PROGRAM = (
    "import sys; sys.path[:] = {paths!r}; from pytest_repro.companions.ranks.rank_main import main; main()"
)


def serve(channel: Any, order: Mapping[str, Any]) -> None:
    """Starts the ranks, waits until all have exited, and reports how the failed ones ended.

    Args:
        channel: Of execnet.
        order: ``ranks``, their number; ``address``, of the session; ``paths``, their ``sys.path``;
            ``flags``, of their interpreter; ``logs``, the folder of their output.
    """
    try:
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch
    except ImportError as error:
        channel.send(("refused", f"needs torch.distributed: {error}"))
        return
    os.environ[ADDRESS_VARIABLE] = order["address"]
    # As torchrun does: otherwise each rank uses all cores.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    program = _PROGRAM.format(paths=list(order["paths"]))
    try:
        elastic_launch(_make_launch_config(order), sys.executable)(*order["flags"], "-c", program)
    except ChildFailedError as error:
        channel.send(("failed", [_describe_failure(order["logs"], *each) for each in error.failures.items()]))


def _make_launch_config(order: Mapping[str, Any]) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig

    # Port 0 is any free one. An address, since a machine may not resolve its own name.
    return LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=order["ranks"], run_id=uuid.uuid4().hex,
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="127.0.0.1", max_restarts=0,
        monitor_interval=0.1, logs_specs=DefaultLogsSpecs(order["logs"], Std.ALL),
    )  # fmt: skip


def _describe_failure(log_folder: str, rank: int, failure: Any) -> tuple[int, int, str, str]:
    """The rank, its exit status, the signal that killed it, and the end of its stderr."""
    signal = failure.signal_name() if failure.exitcode < 0 else ""
    files = Path(log_folder).glob(f"*/attempt_0/{rank}/stderr.log")
    return (
        rank,
        failure.exitcode,
        str(signal),
        format_stderr_tail("".join(f.read_text("utf-8", "replace") for f in files)),
    )

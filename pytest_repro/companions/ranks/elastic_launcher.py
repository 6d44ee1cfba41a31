"""What lives in the launcher of a group of ranks: torch's own elastic agent."""

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
    """Starts the ranks, and waits until each has ended; says of those that failed how they ended.

    Args:
        channel: execnet's.
        order: ``ranks``, how many; ``address``, where they find the session; ``paths``, their
            ``sys.path``; ``flags``, their interpreter's; ``logs``, the folder of what they write.
    """
    try:
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
        from torch.distributed.launcher.api import elastic_launch
    except ImportError as error:
        channel.send(("refused", f"needs torch.distributed: {error}"))
        return
    os.environ[ADDRESS_VARIABLE] = order["address"]
    # As torchrun does: else each rank takes all cores, and they wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    program = _PROGRAM.format(paths=list(order["paths"]))
    try:
        elastic_launch(_make_launch_config(order), sys.executable)(*order["flags"], "-c", program)
    except ChildFailedError as error:
        channel.send(("failed", [_describe_failure(order["logs"], *each) for each in error.failures.items()]))


def _make_launch_config(order: Mapping[str, Any]) -> Any:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
    from torch.distributed.launcher.api import LaunchConfig

    # Port 0 is any that is free; by address, since a machine's own name need not be known to it.
    return LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=order["ranks"], run_id=uuid.uuid4().hex,
        rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="127.0.0.1", max_restarts=0,
        monitor_interval=0.1, logs_specs=DefaultLogsSpecs(order["logs"], Std.ALL),
    )  # fmt: skip


def _describe_failure(log_folder: str, rank: int, failure: Any) -> tuple[int, int, str, str]:
    """A rank, its exit status, the signal that killed it, and its last words."""
    signal = failure.signal_name() if failure.exitcode < 0 else ""
    files = Path(log_folder).glob(f"*/attempt_0/{rank}/stderr.log")
    return (
        rank,
        failure.exitcode,
        str(signal),
        format_stderr_tail("".join(f.read_text("utf-8", "replace") for f in files)),
    )

"""Runs that each import the program, in forks of a process that has not imported it yet.

The addresses of classes and functions are set, and module globals are drawn, when a program is imported. So a
run that is to meet another memory layout, or an import that draws nothing from outside, imports it itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

from pytest_repro.adapters import active_adapters, seed_all
from pytest_repro.causes import find_all_targets, suspended
from pytest_repro.causes.os_entropy import GLOBAL_GENERATOR
from pytest_repro.companions.remote_main import serve_requests
from pytest_repro.core.diagnose import (
    Experiment,
    ExternalCall,
    decode_experiment,
    decode_result,
    encode_experiment,
    encode_result,
    set_cpu_seconds,
)
from pytest_repro.engine.experiments.draw_lines import DrawLines
from pytest_repro.engine.experiments.fork import (
    FORK_AVAILABLE,
    ForkFailed,
    call_in_forks,
    dispose_after_experiment,
    join_results,
    split_into_runs,
    stop_when_differing,
)
from pytest_repro.engine.experiments.process_setup import (
    draw_fillers,
    get_cpu_seconds,
    shifted_heap,
    single_threaded,
)
from pytest_repro.engine.experiments.program_fork import ProgramFork
from pytest_repro.interpose.call_log import log_calls
from pytest_repro.interpose.code_owner import is_user_module
from pytest_repro.interpose.patch import pass_through, passes_through
from pytest_repro.interpose.user_frames import classify_frame, format_location

ServeFunction = Callable[[Any, Mapping[str, Any]], None]
"""Imports a program and answers requests about it: ``serve(channel, order)``."""

_SEED = 0
_OS_ENTROPY = "os-entropy"


def list_library_modules() -> list[str]:
    """The names of modules of this process, except for the user's own, which each run imports itself."""
    modules = [(name, module) for name, module in list(sys.modules.items()) if isinstance(module, ModuleType)]
    return [name for name, module in modules if name != "__main__" and not is_user_module(module)]


def import_libraries(names: Sequence[str], layout: int = 0) -> None:
    """Imports, before the first fork, what every fork would import: ``import torch`` takes seconds.

    Args:
        names: Of modules.
        layout: Moves them to other addresses, as that of :func:`.shifted_heap`, unless it is 0.
    """
    with single_threaded(0), shifted_heap(layout=layout) if layout else nullcontext():
        for name in names:
            with suppress(Exception, SystemExit):  # what only the other process could import
                import_module(name)
    find_all_targets()


def serve_fresh_forks(serve: ServeFunction, channel: Any, order: Mapping[str, Any]) -> None:
    """Answers ``("try", experiment, seconds, …)``, in a fork that calls *serve*.

    It imports the program, makes the runs, and exits. With ``fresh_forks``, each run has such a fork of its
    own, and all start alike. Those of two experiments need not have the same addresses: a request leaves
    traces in the memory of this process. ``("try_imported", …)`` is answered by a fork that has imported the
    program, in forks of its own.

    With ``"alike"`` in *order*, the experiment is about the runs alone, and all imports draw the same;
    otherwise it is about the import as well.
    """
    imported = ProgramFork(serve, order)
    run_in_forks = partial(_import_and_run_in_forks, serve, order)
    serve_requests(channel, {"try": run_in_forks, "try_imported": imported.run_experiment})


def _import_and_run_in_forks(
    serve: ServeFunction, order: Mapping[str, Any], text: str, seconds: float, *rest: Any
) -> tuple[str, str | bytes]:
    if not FORK_AVAILABLE:
        return "unknown", "needs os.fork, which is unavailable on this machine"
    experiment, args = decode_experiment(text), (seconds, *rest)
    parts = split_into_runs(experiment) if experiment.fresh_forks else [experiment]
    shifts = not order.get("alike")
    layouts = [1 + (number or 1) * (part.shift_heap and shifts) for number, part in enumerate(parts)]
    for layout in layouts:
        draw_fillers(layout=layout)
    runs = [partial(_import_and_run, serve, order, *each, args) for each in zip(parts, layouts)]
    cpu = get_cpu_seconds()
    try:
        results = call_in_forks(runs, seconds, stop_when_differing(experiment))
        result = encode_result(join_results(results)) if experiment.fresh_forks else results[0]
        return "tried", set_cpu_seconds(result, get_cpu_seconds() - cpu)
    except ForkFailed as error:
        return "unknown", str(error)


def _import_and_run(
    serve: ServeFunction, order: Mapping[str, Any], experiment: Experiment, layout: int, rest: Any
) -> bytes:
    dispose_after_experiment()
    alike = bool(order.get("alike"))
    single = experiment._replace(fresh_forks=False)
    single = single if alike else single._replace(shift_heap=False, log_calls=False)
    requests, replies = iter([("try", encode_experiment(single), *rest), ("finish",)]), list[Any]()
    calls: list[ExternalCall] = []
    with shifted_heap(layout=layout):
        # pytest and its plugins, imported first, fill the gaps; the order makes new ones for the program.
        channel = SimpleNamespace(receive=requests.__next__, send=replies.append)
        import_setup = _pin_import() if alike else _set_up_import(experiment, calls)
        serve(channel, {**order, "import_setup": import_setup, "layout_setup": shifted_heap(layout=layout)})
    word, answer = replies[-1]
    if word != "tried":
        raise ForkFailed(answer)
    result: bytes = answer
    return encode_result(replace(decode_result(result), calls=tuple(calls))) if calls else result


@contextmanager
def _pin_import() -> Iterator[None]:
    """Forks that import the program in the block are alike, as those of a process that has imported it.

    Nothing else is patched: numba cannot compile what calls a replaced function.
    """
    _seed_from(_SEED)
    with suspended([_OS_ENTROPY], _SEED):
        yield


@contextmanager
def _set_up_import(experiment: Experiment, calls: list[ExternalCall]) -> Iterator[None]:
    """Suspends what *experiment* asks for while the block imports the program; adds the *calls* it makes.

    The global generators of a new process have a random state, and a fork inherits its parent's: they get
    another one in each fork, unless the entropy of the operating system is suspended.
    """
    pinned = _OS_ENTROPY in experiment.suspended
    _seed_from(_SEED if pinned else None)
    with ExitStack() as stack:
        stack.enter_context(pass_through(experiment.passthrough_sites))
        if experiment.log_calls and not experiment.suspended:
            log = stack.enter_context(log_calls(find_all_targets()))
            stack.callback(lambda: calls.extend(log.calls))
        stack.enter_context(suspended(experiment.suspended, _SEED))
        if pinned and experiment.log_calls:
            lines = DrawLines(_SEED)
            stack.callback(lambda: calls.extend(_list_draws(lines)))
            stack.enter_context(lines.watch_phase(is_setup=True))
        elif pinned and experiment.passthrough_sites:
            stack.callback(sys.settrace, sys.gettrace())
            sys.settrace(_UnseededLines().trace_call)
        yield


def _list_draws(lines: DrawLines) -> Iterator[ExternalCall]:
    for draw in lines.draws:
        if draw.location:
            yield ExternalCall(GLOBAL_GENERATOR.format(draw.generator), _OS_ENTROPY, draw.location)


_draw_bytes = os.urandom  # kept before a block replaces it


def _seed_from(seed: int | None) -> None:
    active_adapters()
    seed_all(int.from_bytes(_draw_bytes(4), "little") if seed is None else seed)


class _UnseededLines:
    """Lines of :func:`pass_through` draw from global generators with a random state, others with one seed."""

    _is_unseeded = False

    def trace_call(self, frame: FrameType, event: str, argument: object) -> Any:
        return self.trace_line(frame, event, argument) if classify_frame(frame) == "user" else None

    def trace_line(self, frame: FrameType, event: str, argument: object) -> Any:
        if self._is_unseeded:
            _seed_from(_SEED)
            self._is_unseeded = False
        if event == "line" and passes_through(format_location(frame)):
            _seed_from(None)
            self._is_unseeded = True
        return self.trace_line

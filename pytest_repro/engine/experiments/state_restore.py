"""Puts back what a run has left behind, a name at a time: which of many changes made the difference."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pytest_repro.adapters import active_adapters
from pytest_repro.core.diagnose.finding import StateRoot
from pytest_repro.engine.experiments.process_state import Setter, StateVisitor

_PLAIN_TYPES = (bool, int, float, complex, str, bytes, type(None))


class StateRestorer(StateVisitor):
    """Keeps what belongs to some names as it is when it is gone through.

    Args:
        names: As changes have them: ``"test_it.MODEL.bn"``; what is below them is kept as well.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names
        self._restorers: dict[str, Callable[[], object]] = {}
        self._failed_names: set[str] = set()
        self._generator_names: set[str] = set()

    def visit_roots(self, roots: Mapping[str, StateRoot]) -> None:
        """Goes through what belongs to the test."""
        for name, root in roots.items():
            self.visit(name, root.value, 0)

    def on_value(self, name: str, value: Any, setter: Setter | None) -> None:
        # Of a generator another name is told, that of its state.
        whose = self._match_name(name) or (self._match_name(name, as_whole=True) if self._names else "")
        if (
            not whose
            or name in self._restorers
            or not (self._match_name(name) or _make_generator_restorer(value))
        ):
            return
        if any(
            _is_within(name, each) for each in self._generator_names
        ):  # a generator is put back as a whole
            return
        back = None
        with suppress(Exception):  # somebody else's object may refuse to be copied
            back = _make_restorer(value, setter)
        if back is None:
            self._failed_names.add(whose)
        else:
            self._restorers[name] = back
            self._generator_names.update([name] * (_make_generator_restorer(value) is not None))

    def _match_name(self, name: str, as_whole: bool = False) -> str:
        """Which of the names *name* is a part of, or where *as_whole* a whole."""
        pairs = ((name, each) if as_whole else (each, name) for each in self._names)
        found = (part if as_whole else whole for whole, part in pairs if _is_within(part, whole))
        return next(found, "")

    def restore(self) -> None:
        """What was kept is as it was."""
        for name, back in self._restorers.items():
            try:
                back()
            except Exception:  # of an object that has changed its mind
                self._failed_names.add(self._match_name(name) or self._match_name(name, as_whole=True))

    def list_restored_names(self) -> tuple[str, ...]:
        """The names of what could be put back altogether."""
        kept = {self._match_name(name) or self._match_name(name, as_whole=True) for name in self._restorers}
        return tuple(name for name in self._names if name in kept - self._failed_names)


def _is_within(part: str, whole: str) -> bool:
    return part == whole or part.startswith((f"{whole}.", f"{whole}[", f"{whole}("))


def _make_restorer(value: Any, setter: Setter | None) -> Callable[[], object] | None:
    """What makes *value* again what it is now, and has it stand where it stands; None: nothing does."""
    inside = _make_content_restorer(value)
    if inside is None:
        return None
    places: list[Callable[[], object]] = [partial(setter, value)] if setter is not None else []
    if isinstance(value, _PLAIN_TYPES) and not places:
        return None
    return lambda: [each() for each in (inside, *places)]


def _make_content_restorer(value: Any) -> Callable[[], object] | None:
    if isinstance(value, _PLAIN_TYPES):
        return _do_nothing
    if (state := _make_generator_restorer(value)) is not None:
        return state
    if callable(getattr(value, "cache_clear", None)):
        return value.cache_clear  # type: ignore[no-any-return]
    if isinstance(value, (dict, set)):
        return partial(_refill, value, value.update, _copy_value(value))
    if isinstance(value, list) or hasattr(value, "popleft"):
        return partial(_refill, value, value.extend, _copy_value(value))
    return _make_array_restorer(value) or (
        _do_nothing if hasattr(value, "__dict__") or isinstance(value, tuple) else None
    )


def _do_nothing() -> None:
    """What is inside is looked at part by part."""


def _refill(value: Any, fill: Callable[[Iterable[Any]], object], before: Any) -> None:
    value.clear()
    fill(before)


def _copy_value(value: Any) -> Any:
    """*value* as it is now; its members too, where they let themselves be copied."""
    with suppress(Exception):
        return copy.deepcopy(value)
    return copy.copy(value)


def _make_generator_restorer(value: object) -> Callable[[], object] | None:
    """What puts *value* where it stands, if it is a generator."""
    for adapter in active_adapters().values():
        with suppress(Exception):  # a class of the user's own that only looks like one
            state = adapter.get_state(value)
            if state is not None:
                return partial(adapter.set_state, value, state)
    return None


def _make_array_restorer(value: Any) -> Callable[[], object] | None:
    """What puts its numbers back into an array or a tensor."""
    torch, numpy = map(sys.modules.get, ("torch", "numpy"))
    if torch is not None and isinstance(value, torch.Tensor):
        data = value.detach()
        return partial(data.copy_, data.clone())
    if numpy is not None and isinstance(value, numpy.ndarray):
        return partial(value.__setitem__, ..., value.copy())
    return None

"""The base class of adapters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple, Protocol

from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.pytree import FlattenResult
from pytest_repro.interpose.seeding import Effect

FastReader = Callable[[object], "tuple[object, bytes] | None"]
"""Reads a small value of one exact type: a hashable key for its kind, and its bytes; None if it cannot."""


class SwitchTooLate(UserWarning):
    """A determinism switch may have no effect, because its library is already initialized."""


class EntropySource(Protocol):
    """Replaces the operating system's random numbers; ``random.Random`` is one."""

    def getrandbits(self, k: int, /) -> int:
        """A random integer of *k* bits."""

    def randbytes(self, n: int, /) -> bytes:
        """*n* random bytes."""


class DrawOrigin(NamedTuple):
    """A part of a larger object that drew random numbers.

    Attributes:
        root: The outermost object that runs.
        path: Path from *root* to the part: ``.encoder.dropout``.
        label: ``"Dropout, training"``.
        location: Where the user wrote the part, else the user's line that called it, as
            ``"/abs/file.py:12"``; ``""`` if there is neither.
        seeding: Whether it drew a seed for others, which changes no value by itself.
    """

    root: object
    path: str
    label: str
    location: str
    seeding: bool = False


BoundaryCallback = Callable[["Callable[[], DrawOrigin] | None"], None]
"""Called when another part begins to run: all draws since the previous call are of the given origin."""


class Adapter:
    """What is known about one library. Override what applies: every default does nothing.

    Another distribution adds a library with one module, and an entry point with the library's import name::

        # pytest_repro_jax.py
        from pytest_repro.adapters import Adapter, flatten

        class Jax(Adapter):
            def flatten(self, value):
                return flatten(numpy.asarray(value)) if isinstance(value, jax.Array) else None

        adapter = Jax()

        # pyproject.toml
        [project.entry-points."pytest_repro.adapters"]
        jax = "pytest_repro_jax"

    The module is imported once the library itself is in ``sys.modules``.
    """

    fast_readers: ClassVar[Mapping[type, FastReader]] = {}
    """For types whose small values are kept as bytes instead of a digest."""

    immutable_arrays: ClassVar[bool] = False
    """Whether arrays never change, so that another takes their place instead of :meth:`restore_array`."""

    is_companion: ClassVar[bool] = False
    """Whether this process ends with its session: :meth:`deterministic` may set what it cannot unset."""

    # Values

    def flatten(self, value: object) -> FlattenResult:
        """*value* as a leaf or as parts, why it cannot be read, or None if it is not of this library."""
        return None

    def describe(self, kind_key: object) -> tuple[str, str, tuple[int, ...]]:
        """Kind, dtype and shape for the key that a fast reader returned."""
        raise NotImplementedError

    def kind_name(self, value: object) -> str:
        """What reports call *value*: ``"module"``, ``"torch generator"``; ``""`` for anything else."""
        return ""

    def base_attributes(self, value: object) -> Collection[str]:
        """Names of attributes that every instance of the library's class has, which hold no user state."""
        return ()

    def list_members(self, value: object) -> Iterable[tuple[str, object]] | None:
        """The parts of *value* by the end of their path, where users know them by other names than its
        attributes have; None for any other value.
        """
        return None

    # Arrays

    def is_array(self, value: object) -> bool:
        """Whether *value* is an array of this library. The methods below take only such values."""
        return False

    def copy_array(self, array: Any) -> Any:
        """A copy of the same type and ``requires_grad`` that shares neither memory nor graph."""
        raise NotImplementedError

    def copy_at_offset(self, array: Any, offset: int) -> Any:
        """As :meth:`copy_array`, contiguous, *offset* elements behind an aligned address."""
        raise NotImplementedError

    def save_variables(self, value: Any) -> Callable[[], object] | None:
        """Saves the variables of *value*, which are no arrays; returns what restores them, if it has any."""
        return None

    def restore_array(self, array: Any, saved: Any) -> None:
        """Writes the values of *saved*, an array of the same shape, into the memory of *array*."""
        raise NotImplementedError

    def concatenate(self, arrays: Sequence[Any]) -> Any:
        """*arrays* joined along the first axis."""
        raise NotImplementedError

    def view_as_integers(self, array: Any) -> Any:
        """The memory of floats as signed integers of the same size and shape; None for other dtypes."""
        return None

    # Generators

    has_readable_state: ClassVar[bool] = True
    """Whether the state of global generators can be read; if not, it is restored only after the last run."""

    def seed(self, seed: int) -> None:
        """Seeds every global generator with *seed*, 0 … 2**32 - 1."""

    def global_generators(self) -> Mapping[str, object]:
        """The global generators by name: ``torch cpu``."""
        return {}

    def save_global_states(self) -> Callable[[], None]:
        """Saves the state of every global generator. The function it returns restores it."""
        return lambda: None

    def global_states_key(self) -> object:
        """Equal until a global generator is used; a list if there may be more generators later."""
        return None

    def seeding_functions(self) -> Iterable[tuple[Any, str, Effect]]:
        """The functions that set global generators: owner, name there, and what a call does."""
        return ()

    def get_state(self, generator: object) -> str | None:
        """The state of *generator* as text; None if it is no generator of this library."""
        return None

    def set_state(self, generator: object, state: str) -> None:
        """Restores what :meth:`get_state` returned; may raise any exception for another text."""

    def state_key(self, generator: object) -> object:
        """As :meth:`get_state`, but any value that is fast to read and to compare."""
        return self.get_state(generator)

    def state_api_hint(self, generator: object) -> str:
        """Code that saves and restores its state: ``random.getstate(), random.setstate(…)``."""
        return ""

    def watch_draws(self, on_boundary: BoundaryCallback) -> AbstractContextManager[None]:
        """In the block, calls *on_boundary* in this thread when a part of a larger object begins or ends."""
        return nullcontext()

    def patch_entropy(self, source: EntropySource) -> AbstractContextManager[None]:
        """In the block, the library draws from *source* instead of the operating system."""
        return nullcontext()

    # Settings

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        """In the block, every determinism switch of the library is set to *mode*."""
        return nullcontext()

    def leave_switches(self, varied: Collection[str]) -> AbstractContextManager[None]:
        """Leaves :meth:`deterministic`, and the axes *varied*, for a block: the import of a module.

        What the block sets switches to outlives both.
        """
        return nullcontext()

    def limit_threads(self, number: int) -> AbstractContextManager[None]:
        """In the block, the library computes with *number* threads, or as many as it can have."""
        return nullcontext()

    def why_not_forkable(self) -> str:
        """Why forks could not compute, ``"JAX has started its threads"``; ``""`` if they could."""
        return ""

    def synchronize(self) -> None:
        """Waits for the devices, so that a clock can be read."""

    def environment(self) -> dict[str, str]:
        """What else could change a result: versions, thread counts, instruction sets, devices.

        The names never vary: a missing part has a value that says so. No times, no host names.
        """
        return {}

    def flags(self) -> dict[str, str]:
        """Settings that could change a result, such as precisions. The names never vary."""
        return {}

    def switches(self) -> dict[str, str]:
        """Process-wide settings that a run could leave changed, by name."""
        return {name: str(value) for name, value in self.switch_values()}

    settings: ClassVar[Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]]] = {}
    """Getter and setter of each of these settings, by name."""

    def switch_values(self) -> Iterable[tuple[str, object]]:
        """The settings that :meth:`set_switch` can set, by name, as picklable values."""
        return [(name, get()) for name, (get, _) in self.settings.items()]

    def set_switch(self, name: str, value: object) -> bool:
        """Sets the setting of that name, if it is one of this library; returns whether it is."""
        if name not in self.settings:
            return False
        get, put = self.settings[name]
        if get() != value:
            put(value)
        return True

    def save_switches(self) -> Callable[[str], object]:
        """Saves the settings of :meth:`switches`. The function it returns restores one by its name."""
        saved = dict(self.switch_values())
        return lambda name: name in saved and self.set_switch(name, saved[name])

"""Floor 2: what is varied between runs, one file per axis.

A file is named as the marker's keyword and the value of ``--repro-vary``, and holds one object,
``axis``. Other distributions add theirs as entry points of the group ``pytest_repro.axes``. One
axis is varied at a time, the others stay at their reference: so a difference has a name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

from pytest_repro.core.plan.cell import AxisValues
from pytest_repro.core.plan.plan import ARGUMENTS, BadArgument
from pytest_repro.core.plugins import find_plugins, load_plugin


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Another interpreter, as a value of an axis needs it.

    Attributes:
        spec: As execnet takes it: ``"popen"``, ``"ssh=host//python=python3"``.
        environ: Variables that are set when it starts.
        name: How it is called when something is said of it.
        imports_per_run: Whether it waits with bringing in the program: each run of an experiment does so, anew.
    """

    spec: str = "popen"
    environ: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    imports_per_run: bool = False

    @property
    def local(self) -> bool:
        """Whether it is this very installation, with this process's paths and files."""
        return self.spec == "popen"


class Axis:
    """One thing that can be varied. Every method but :meth:`resolve_values` may be left as it is."""

    #: Whether the values beside the reference need another interpreter.
    remote: ClassVar[bool] = False
    #: Whether closeness is expected by default, ``torch.testing``'s, instead of equal bits.
    close_by_default: ClassVar[bool] = False
    #: Whether dtypes may differ between values.
    mixes_dtypes: ClassVar[bool] = False
    #: Why a run is not counted whose test did not take part, where it has to; else ``""``.
    opt_in_message: ClassVar[str] = ""
    #: Where to look when runs differ between values.
    hints: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """The name of its file."""
        return type(self).__module__.rpartition(".")[2]

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        """The values that *argument* asks, the reference's first.

        Args:
            argument: What the marker says; True asks for the usual values.

        Raises:
            BadArgument: *argument* does not fit.
        """
        raise NotImplementedError

    def parse_option(self, text: str) -> object:
        """One value from the command line, as the marker would have given it."""
        return text

    def format_option(self, values: tuple[object, ...]) -> str:
        """*values* as ``--repro-vary`` takes them: ``threads=1,2``."""
        return f"{self.name}={','.join(map(str, values[1:] if self.remote else values))}"

    def why_unavailable(self, value: object) -> str:
        """Why *value* is not to be had here, in a few words; ``""`` where it is."""
        return ""

    def why_reference_unavailable(self, value: object) -> str:
        """Why not even the reference can be run at *value*; ``""`` where it can, or it is not known yet."""
        return ""

    def why_too_few(self, value: object, ranks: int) -> str:
        """Why there is not enough of *value* for so many processes at once; ``""`` where there is."""
        return ""

    def get_generator_states(self) -> object:
        """Where those generators stand that draw other numbers at other values, equally seeded."""
        return None

    def applied(self, value: object) -> AbstractContextManager[None]:
        """Sets *value* in this process, for a block, and restores what was before."""
        return nullcontext()

    def build_interpreter(self, value: object) -> Interpreter:
        """The interpreter that *value* needs, for an axis of elsewhere."""
        raise NotImplementedError

    #: What stands before a value's name: ``with`` 2 threads.
    preposition: ClassVar[str] = "with"

    def format_value(self, value: object) -> str:
        """How *value* is called: ``2 threads``."""
        return f"{self.name} {value}"

    def format_pair(self, reference: object, value: object) -> str:
        """The two sides of a difference: ``1 and 2 threads``."""
        return f"{self.format_value(reference)} and {self.format_value(value)}"


class Bundle(Axis):
    """A fixed set of axes under one name.

    Attributes:
        parts: What each of them is given.
    """

    parts: ClassVar[Mapping[str, object]] = {}

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        if argument is not True:
            raise BadArgument(self.name, argument, "takes no values: it names a fixed set of axes")
        return ()


@cache
def get_axis(name: str) -> Axis:
    """The axis of that name.

    Raises:
        KeyError: There is none.
    """
    found = load_plugin(__name__, name).axis
    assert isinstance(found, Axis)
    return found


def list_axis_names() -> Sequence[str]:
    """The names of all axes."""
    return list(find_plugins(__name__))


def validate_argument_names(arguments: Mapping[str, object]) -> None:
    """Checks that each of *arguments* is one of a plan, or an axis.

    Raises:
        BadArgument: One of them is neither.
    """
    for name in arguments:
        if name not in ARGUMENTS and name not in find_plugins(__name__):
            allowed = ", ".join([*ARGUMENTS, *list_axis_names()])
            raise BadArgument(name, arguments[name], f"unknown; allowed are {allowed}")


def resolve_axes(arguments: Mapping[str, object]) -> tuple[AxisValues, ...]:
    """The axes of a plan; a set of axes stands for its parts, unless they are asked themselves.

    Args:
        arguments: Axis → what the marker or the command line gives; False and None ask nothing.

    Raises:
        BadArgument: A value does not fit its axis; names both.
    """
    found: dict[str, AxisValues] = {}
    for name, given in _expand_bundles(arguments).items():
        axis = get_axis(name)
        if given is not False and given is not None:
            found[name] = AxisValues(
                name, axis.resolve_values(given), axis.remote, axis.close_by_default, axis.mixes_dtypes
            )
    return tuple(each for each in found.values() if len(each.values) > 1)


def _expand_bundles(arguments: Mapping[str, object]) -> dict[str, object]:
    parts: dict[str, object] = {}
    for name, given in arguments.items():
        axis = get_axis(name)
        if isinstance(axis, Bundle) and given is not False and given is not None:
            axis.resolve_values(given)
            parts |= axis.parts
    own = {name: given for name, given in arguments.items() if not isinstance(get_axis(name), Bundle)}
    return {**parts, **own}


@contextmanager
def apply_setting(setting: Mapping[str, object]) -> Iterator[None]:
    """Sets every axis of *setting* that is varied in this process, and restores it.

    Args:
        setting: Axis → value.
    """
    with ExitStack() as stack:
        for name, value in setting.items():
            stack.enter_context(get_axis(name).applied(value))
        yield


def get_torch_generator_states(include_cpu: bool = True) -> object:
    """Where torch's generators stand, the CPU's among them or not; None before torch is imported."""
    if "torch" not in sys.modules:
        return None
    from pytest_repro.adapters._torch.generators import read_states

    return read_states(include_cpu)


def as_tuple(argument: object) -> tuple[object, ...]:
    """What an axis was given as a tuple: one value stands for itself."""
    return tuple(argument) if isinstance(argument, (tuple, list)) else (argument,)


def require_distinct(
    name: str, values: Sequence[object], key: Callable[[Any], object] = lambda value: value
) -> tuple[object, ...]:
    """*values* as a tuple, if there are two or more and no two mean the same.

    Raises:
        BadArgument: There are too few, or one is there twice.
    """
    if len(values) < 2:
        raise BadArgument(name, tuple(values), "at least 2 values, the reference first")
    if len(set(map(key, values))) < len(values):
        raise BadArgument(name, tuple(values), "each value once")
    return tuple(values)

"""What varies between runs, one file per axis.

The file's name is the marker's keyword and the value of ``--repro-vary``; it holds one object, ``axis``.
Others add theirs as entry points of ``pytest_repro.axes``. Only one axis varies at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar

from pytest_repro.core.plan.arguments import ARGUMENTS, BadArgument, describe_unknown
from pytest_repro.core.plan.plan import AxisValues
from pytest_repro.core.plugins import find_plugins, load_plugin
from pytest_repro.interpose.patch import pass_through_nothing


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Another interpreter, as a value of an axis needs it.

    Attributes:
        spec: An execnet spec: ``"popen"``, ``"ssh=host//python=python3"``.
        environ: Variables to set when it starts.
        name: How messages refer to it.
        imports_per_run: Whether each run of an experiment imports the program again.
        imports_libraries: Whether the libraries of this process are imported once, before the first run.
        fixed_addresses: Whether it starts without the randomization of addresses.
        layout: Seed of the objects that move what it imports to other addresses; 0 if there are none.
        forked_from: The interpreter of which it is a fork, which imports the program; None if it is its own.
    """

    spec: str = "popen"
    environ: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    imports_per_run: bool = False
    imports_libraries: bool = False
    fixed_addresses: bool = False
    layout: int = 0
    forked_from: Interpreter | None = None

    @property
    def local(self) -> bool:
        """Whether it is this installation, with the paths and files of this process."""
        return self.spec == "popen"


class Axis:
    """One thing to vary between runs. Only :meth:`resolve_values` has no default."""

    #: The marker's keyword: the name of the file or of the entry point.
    name: str

    #: Whether the values beside the reference, or a value that is the only one, need another interpreter.
    remote: ClassVar[bool] = False
    #: The value of a :attr:`remote` axis that is this process.
    here: ClassVar[object] = None
    #: Whether values are compared within the tolerances of ``torch.testing`` by default.
    close_by_default: ClassVar[bool] = False
    #: Whether dtypes may differ between values.
    mixes_dtypes: ClassVar[bool] = False
    #: Whether equal ops have equal digests at all values, so that the first that differs can be found.
    comparable_ops: ClassVar[bool] = True
    #: Whether values are interpreters that differ only in the process, its hash seed and its addresses.
    differs_by_process_only: ClassVar[bool] = False
    #: Why a run does not count if the test did not opt in; ``""`` if it need not.
    opt_in_message: ClassVar[str] = ""
    #: Where to look when runs differ between values.
    hints: ClassVar[tuple[str, ...]] = ()
    #: The preposition before a value: ``with`` 2 threads.
    preposition: ClassVar[str] = "with"

    #: The cause word of a difference between values; ``""`` if the axis is the cause itself.
    cause_name: ClassVar[str] = ""
    #: Why values differ, after a colon: ``"kernels treat aligned memory differently"``.
    cause_reason: ClassVar[str] = ""
    #: What to change.
    cause_fix: ClassVar[str] = (
        "fix its value where results must be equal, or compare within a tolerance: rtol and atol"
    )

    def __init_subclass__(cls) -> None:
        cls.name = cls.__module__.rpartition(".")[2]

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        """The values that *argument* asks for, the reference first; True asks for the usual values.

        With a single value, everything runs at it and nothing is varied.

        Raises:
            BadArgument: *argument* is invalid.
        """
        raise NotImplementedError

    def parse_option(self, text: str) -> object:
        """One value from the command line, as the marker takes it: a whole number or text."""
        return int(text) if text.isdecimal() else text

    def format_option(self, values: tuple[object, ...]) -> str:
        """*values* as ``--repro-vary`` takes them: ``threads=1,2``."""
        shown = values[1:] if self.remote and len(values) > 1 else values
        return f"{self.name}={','.join(map(str, shown))}"

    def why_unavailable(self, value: object) -> str:
        """Why *value* is unavailable on this machine, in a few words; ``""`` if it is available."""
        return ""

    def why_reference_unavailable(self, value: object) -> str:
        """Why not even the reference can run at *value*; ``""`` if it can, or if that is not known yet."""
        return ""

    def why_not_in_effect(self, value: object) -> str:
        """Why *value*, the only one, was not in effect in a run that has ended; ``""`` if it was."""
        return self.why_unavailable(value)

    def why_too_few(self, value: object, ranks: int) -> str:
        """Why there are too few of *value* for that many processes at once; ``""`` if there are enough."""
        return ""

    def why_not_in_ranks(self, values: tuple[object, ...], ranks: int) -> str:
        """Why that many ranks cannot run at *values*; ``""`` if they can."""
        return f"not together with ranks={ranks}" if self.opt_in_message else ""

    def get_generator_states(self) -> object:
        """The states of the generators that, equally seeded, draw other numbers at other values."""
        return None

    def applied(self, value: object) -> AbstractContextManager[None]:
        """Sets *value* in this process for a block, then restores what was set before."""
        return nullcontext()

    def build_interpreter(self, value: object) -> Interpreter:
        """The interpreter that *value* needs, if the axis is :attr:`remote`."""
        raise NotImplementedError

    def format_value(self, value: object) -> str:
        """How messages name *value*: ``2 threads``."""
        return f"{self.name} {value}"

    def format_pair(self, reference: object, value: object) -> str:
        """The two sides of a difference: ``1 and 2 threads``."""
        return f"{self.format_value(reference)} and {self.format_value(value)}"

    def explain_difference(self, reference: object, value: object) -> str:
        """Why runs that repeat at *reference* and at *value* differ between them, without a full stop."""
        pair = self.format_pair(reference, value)
        reason = f": {self.cause_reason}" if self.cause_reason else ""
        return f"runs repeat at each value, and {pair} differ{reason}"


class CountedAxis(Axis):
    """An axis whose argument is a number of values beside the reference; value 0 is the reference."""

    #: What the argument counts: "shuffles".
    counted: ClassVar[str] = "values"

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        number = int(argument) if isinstance(argument, (bool, int)) else 0
        if number < 1:
            raise BadArgument(self.name, argument, f"True, or a number of {self.counted}, 1 or more")
        return tuple(range(number + 1))

    def format_option(self, values: tuple[object, ...]) -> str:
        return f"{self.name}={len(values) - 1}"


class Bundle(Axis):
    """A fixed set of axes under one name."""

    #: The argument of each axis.
    parts: ClassVar[Mapping[str, object]] = {}

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        if argument is not True:
            raise BadArgument(self.name, argument, "takes no values: it names a fixed set of axes")
        return ()


@cache
def get_axis(name: str) -> Axis:
    """The axis of that name; raises :class:`KeyError` if there is none."""
    axis = load_plugin(__name__, name).axis
    assert isinstance(axis, Axis), f"axis {name!r} is no instance of pytest_repro.axes.Axis"
    axis.name = name
    return axis


def list_axis_names() -> Sequence[str]:
    """The names of all axes."""
    return list(find_plugins(__name__))


def validate_argument_names(arguments: Mapping[str, object]) -> None:
    """Raises :class:`BadArgument` unless each name in *arguments* is an argument of a plan or an axis."""
    for name in arguments:
        if name not in ARGUMENTS and name not in find_plugins(__name__):
            allowed = list(dict.fromkeys([*ARGUMENTS, *list_axis_names()]))
            raise BadArgument(name, arguments[name], describe_unknown(name, allowed))


def resolve_axes(arguments: Mapping[str, object]) -> tuple[AxisValues, ...]:
    """The axes of a plan, by their *arguments*: False and None turn an axis off.

    A bundle stands for its parts, except those that have an argument of their own.

    Raises:
        BadArgument: An argument is invalid; the message names it and its axis.
    """
    return tuple(
        make_axis_values(name, get_axis(name).resolve_values(argument))
        for name, argument in _expand_bundles(arguments).items()
        if argument is not False and argument is not None
    )


def make_axis_values(name: str, values: tuple[object, ...]) -> AxisValues:
    """The axis *name* of a plan, at *values*."""
    axis = get_axis(name)
    remote = axis.remote and values != (axis.here,)
    return AxisValues(name, values, remote, axis.close_by_default, axis.mixes_dtypes)


def _expand_bundles(arguments: Mapping[str, object]) -> dict[str, object]:
    parts, plain = dict[str, object](), dict[str, object]()
    for name, argument in arguments.items():
        axis = get_axis(name)
        if not isinstance(axis, Bundle):
            plain[name] = argument
        elif argument is not False and argument is not None:
            axis.resolve_values(argument)
            parts |= axis.parts
    return {**parts, **plain}


@contextmanager
def apply_setting(setting: Mapping[str, object]) -> Iterator[None]:
    """Applies every value of *setting*, by axis, in this process for a block; no site passes through it."""
    with ExitStack() as stack:
        with pass_through_nothing():
            for name, value in setting.items():
                stack.enter_context(get_axis(name).applied(value))
        yield


def as_tuple(argument: object) -> tuple[object, ...]:
    """*argument* as a tuple; one value becomes a tuple of one."""
    return tuple(argument) if isinstance(argument, (tuple, list)) else (argument,)

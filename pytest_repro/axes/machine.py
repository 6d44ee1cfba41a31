"""Another interpreter or another machine, reached by execnet."""

from __future__ import annotations

from pytest_repro.axes import Interpreter, as_tuple
from pytest_repro.axes._shared import InterpreterAxis
from pytest_repro.core.plan.arguments import BadArgument

HERE = "here"
_SPEC_PREFIXES = ("popen", "ssh=", "socket=", "vagrant_ssh=")


class Machine(InterpreterAxis):
    """``machine="popen//python=python3.12"``, ``("here", "ssh=host//python=python3//chdir=/repo")``.

    Values are execnet specs, https://execnet.readthedocs.io/en/latest/basics.html. The other
    interpreter needs pytest-repro, what the tests import, and the same files at ``chdir``. With a single
    value everything runs there; several are compared with this process, which is ``"here"``.
    """

    here = HERE
    close_by_default = True
    preposition = "on"
    hints = ("versions of libraries, instruction sets and BLAS: each side has its own",)
    cause_reason = "each has its own versions and its own processor"
    cause_fix = "pin the versions that differ, or compare within a tolerance"

    def resolve_values(self, argument: object) -> tuple[object, ...]:
        specs = as_tuple(argument)
        if not specs or not all(map(_is_spec, specs)):
            allowed = "an execnet spec: 'popen//python=python3.12', 'ssh=host//python=python3'"
            raise BadArgument(self.name, argument, allowed)
        return self.resolve_interpreters(specs)

    def why_not_in_ranks(self, values: tuple[object, ...], ranks: int) -> str:
        return f"not together with ranks={ranks}"

    def build_interpreter(self, value: object) -> Interpreter:
        return Interpreter(str(value), name=self.format_value(value))

    def format_value(self, value: object) -> str:
        return "here" if value == HERE else str(value)


def _is_spec(value: object) -> bool:
    return isinstance(value, str) and (value == HERE or value.startswith(_SPEC_PREFIXES))


axis = Machine()

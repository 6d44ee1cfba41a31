"""Another interpreter or another machine, reached by execnet."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.axes import Axis, Interpreter, listed
from pytest_repro.core.plan.plan import BadArgument

HERE = "here"
_KINDS = ("popen", "ssh=", "socket=", "vagrant_ssh=")


class Machine(Axis):
    """``machine="popen//python=python3.12"``, ``"ssh=host//python=python3//chdir=/repo"``.

    Specs are execnet's, https://execnet.readthedocs.io/en/latest/basics.html; the interpreter there
    needs pytest-repro and what the tests import, and the same files at ``chdir``.
    """

    elsewhere = True
    close = True
    preposition = "on"
    look_for: ClassVar = ("versions of libraries, instruction sets and BLAS: each side has its own",)

    def values(self, given: object) -> tuple[object, ...]:
        allowed = "a spec of execnet: 'popen//python=python3.12', 'ssh=host//python=python3'"
        specs = listed(given)
        if not specs or any(not isinstance(each, str) or not each.startswith(_KINDS) for each in specs):
            raise BadArgument(self.name, given, allowed)
        return HERE, *dict.fromkeys(specs)

    def interpreter(self, value: object) -> Interpreter:
        return Interpreter(str(value), called=self.called(value))

    def called(self, value: object) -> str:
        return "here" if value == HERE else str(value)


axis = Machine()

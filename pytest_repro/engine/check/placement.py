"""The interpreters of a check whose plan has axes with a single value, at which every call is made."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from pytest_repro.axes import Interpreter, get_axis
from pytest_repro.core.plan.plan import Plan


def build_fixed_interpreter(plan: Plan) -> Interpreter | None:
    """The interpreter that the axes with a single value need together; None if they need none."""
    fixed = [each for each in plan.vary if each.remote and len(each.values) == 1]
    interpreters = [get_axis(each.axis).build_interpreter(each.values[0]) for each in fixed]
    return reduce(combine, interpreters) if interpreters else None


def combine(interpreter: Interpreter, base: Interpreter | None) -> Interpreter:
    """*interpreter* on the machine of *base*, or the other way round, with the variables of both."""
    if base is None:
        return interpreter
    spec = base.spec if interpreter.local else interpreter.spec
    environ = {**base.environ, **interpreter.environ}
    if spec.startswith("popen"):
        variables = ""
    else:  # the variables of this process do not reach that one
        variables = "".join(f"//env:{name}={value}" for name, value in environ.items())
    name = f"{interpreter.name} and {base.name}"
    forked_from = combine(interpreter.forked_from, base) if interpreter.forked_from else None
    return replace(
        interpreter, spec=f"{spec}{variables}", environ=environ, name=name, forked_from=forked_from
    )

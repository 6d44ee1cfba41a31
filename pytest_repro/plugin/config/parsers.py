"""What options take, from the command line and the ini file alike; each refuses what does not fit."""

from __future__ import annotations

import re

from pytest_repro.core.plan.plan import MOST_SEEDS, BadArgument, checked_runs, checked_seed, checked_seeds

DIAGNOSE = ("auto", "always", "never")


def _number(text: object) -> object:
    try:
        return int(str(text)) if not isinstance(text, bool) else text
    except ValueError:
        return text


def runs(given: object) -> int:
    """A number of runs."""
    return checked_runs(_number(given))


def seed(given: object) -> int | str:
    """A seed, or ``"random"``."""
    if given == "random":
        return "random"
    try:
        return checked_seed(_number(given))
    except BadArgument as error:
        raise BadArgument(error.name, error.given, f"{error.allowed}, or 'random'") from None


def seeds(given: object) -> tuple[int, ...]:
    """Seeds: how many, or which."""
    allowed = "20 (seeds 0 to 19), 0-99, 1,2,5 or 0 (none)"
    try:
        number = _number(given)
        return checked_seeds(number if isinstance(number, int) else _spans(str(given)))
    except (ValueError, IndexError):  # BadArgument is one
        raise BadArgument("seeds", given, f"{allowed}, at most {MOST_SEEDS:,} of them") from None


def _spans(text: str) -> tuple[int, ...]:
    """``1,4-6`` as 1, 4, 5, 6."""
    found: list[int] = []
    for each in text.split(","):
        first, dash, last = each.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if span[-1] - span[0] >= MOST_SEEDS:  # an IndexError where it is empty
            raise ValueError
        found.append(span[0])
        found += span[1:]
    return tuple(found)


def noise(given: object) -> int:
    """A number of runs."""
    number = _number(given)
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise BadArgument(
            "noise",
            number,
            "a whole number of runs, 2 or more; --repro-noise alone (5) goes behind the files",
        )
    return number


def keep(given: object) -> int:
    """Megabytes."""
    return _whole("keep_mb", given, "a whole number of megabytes, 0 or more")


def baseline_kb(given: object) -> int:
    """Kilobytes."""
    return _whole("baseline_kb", given, "a whole number of kilobytes, 0 or more")


def require(given: object) -> int:
    """A number of tests."""
    return _whole("require", given, "a whole number of tests, 0 or more")


def _whole(name: str, given: object, allowed: str) -> int:
    number = _number(given)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise BadArgument(name, number, allowed)
    return number


def path(given: object) -> str:
    """The path of a file."""
    if not isinstance(given, str) or not given.strip():
        raise BadArgument("path", given, "the path of a file")
    return given


def replay(given: object) -> str:
    """``"record"``, or the path of a log."""
    try:
        return path(given)
    except BadArgument:
        raise BadArgument("replay", given, '"record", or the path of a log') from None


def vary(given: object) -> tuple[str, object]:
    """``AXIS`` or ``AXIS=V,V`` as the axis, and what the marker would have given it."""
    from pytest_repro.axes import named, names, varied

    name, equals, rest = str(given).strip().partition("=")
    if name not in names():
        raise BadArgument("axis", name, f"unknown; allowed are {', '.join(names())}")
    values = tuple(named(name).read(each.strip()) for each in rest.split(","))
    asked = (values if len(values) > 1 else values[0]) if equals else True
    try:
        varied({name: asked})
    except BadArgument as error:
        raise BadArgument("vary", str(given).strip(), allowed_there(error)) from None
    return name, asked


def allowed_there(error: BadArgument) -> str:
    """What an axis allows, as ``--repro-vary`` and the ini file take it: axes speak as the marker does."""
    name = error.name
    allowed = error.allowed.replace("True, or ", f"{name} alone, or ")
    return re.sub(rf"\b{name}=\(([^()]*)\)", lambda m: f"{name}=" + re.sub("[' ]", "", m[1]), allowed)


def varies(given: object) -> dict[str, object]:
    """The lines of the ini file, each ``AXIS`` or ``AXIS=V,V``."""
    lines = given.splitlines() if isinstance(given, str) else given
    if not isinstance(lines, (list, tuple)):
        raise BadArgument("vary", given, "a list of AXIS or AXIS=V,V")
    return dict(vary(each) for each in lines if str(each).strip())


def seconds(given: object, name: str = "companion_timeout") -> float:
    """A time limit."""
    try:
        number = float(str(given))
    except ValueError:
        number = -1.0
    if isinstance(given, bool) or not 0 < number < float("inf"):
        raise BadArgument(name, given, "seconds, more than 0")
    return number


def budget(given: object) -> float:
    """The time in which a cause is looked for."""
    return seconds(given, "diagnose_seconds")


def diagnose(given: object) -> str:
    """When a cause is looked for."""
    if given not in DIAGNOSE:
        raise BadArgument("diagnose", given, 'one of "auto", "always", "never"')
    return str(given)

"""Parsers of option values, from the command line and the ini file; each refuses invalid ones."""

from __future__ import annotations

import re

from pytest_repro.core.plan.plan import MAX_SEEDS, BadArgument, validate_runs, validate_seed, validate_seeds

DIAGNOSE_CHOICES = ("auto", "always", "never")


def _parse_int(value: object) -> object:
    try:
        return int(str(value)) if not isinstance(value, bool) else value
    except ValueError:
        return value


def parse_runs(value: object) -> int:
    """A number of runs."""
    return validate_runs(_parse_int(value))


def parse_seed(value: object) -> int | str:
    """A seed, or ``"random"``."""
    if value == "random":
        return "random"
    try:
        return validate_seed(_parse_int(value))
    except BadArgument as error:
        raise BadArgument(error.name, error.value, f"{error.allowed}, or 'random'") from None


def parse_seeds(value: object) -> tuple[int, ...]:
    """A number of seeds, or a list of them."""
    allowed = "20 (seeds 0 to 19), 0-99, 1,2,5 or 0 (none)"
    try:
        number = _parse_int(value)
        return validate_seeds(number if isinstance(number, int) else _parse_spans(str(value)))
    except (ValueError, IndexError):  # BadArgument is one
        raise BadArgument("seeds", value, f"{allowed}, at most {MAX_SEEDS:,} of them") from None


def _parse_spans(text: str) -> tuple[int, ...]:
    """``1,4-6`` as 1, 4, 5, 6."""
    found: list[int] = []
    for each in text.split(","):
        first, dash, last = each.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if span[-1] - span[0] >= MAX_SEEDS:  # an IndexError if it is empty
            raise ValueError
        found.append(span[0])
        found += span[1:]
    return tuple(found)


def parse_noise(value: object) -> int:
    """A number of runs."""
    number = _parse_int(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise BadArgument(
            "noise",
            number,
            "a whole number of runs, 2 or more; --repro-noise alone (5) goes behind the files",
        )
    return number


def parse_keep_mb(value: object) -> int:
    """Megabytes."""
    return _parse_whole("keep_mb", value, "a whole number of megabytes, 0 or more")


def parse_baseline_kb(value: object) -> int:
    """Kilobytes."""
    return _parse_whole("baseline_kb", value, "a whole number of kilobytes, 0 or more")


def parse_require(value: object) -> int:
    """A number of tests."""
    return _parse_whole("require", value, "a whole number of tests, 0 or more")


def _parse_whole(name: str, value: object, allowed: str) -> int:
    number = _parse_int(value)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise BadArgument(name, number, allowed)
    return number


def parse_path(value: object) -> str:
    """The path of a file."""
    if not isinstance(value, str) or not value.strip():
        raise BadArgument("path", value, "the path of a file")
    return value


def parse_replay(value: object) -> str:
    """``"record"``, or the path of a log."""
    try:
        return parse_path(value)
    except BadArgument:
        raise BadArgument("replay", value, '"record", or the path of a log') from None


def parse_vary(value: object) -> tuple[str, object]:
    """The axis and its marker argument from ``AXIS`` or ``AXIS=V,V``."""
    from pytest_repro.axes import get_axis, list_axis_names, resolve_axes

    name, equals, rest = str(value).strip().partition("=")
    if name not in list_axis_names():
        raise BadArgument("axis", name, f"unknown; allowed are {', '.join(list_axis_names())}")
    values = tuple(get_axis(name).parse_option(each.strip()) for each in rest.split(","))
    asked = (values if len(values) > 1 else values[0]) if equals else True
    try:
        resolve_axes({name: asked})
    except BadArgument as error:
        raise BadArgument("vary", str(value).strip(), format_allowed(error)) from None
    return name, asked


def format_allowed(error: BadArgument) -> str:
    """What an axis allows, in the syntax of ``--repro-vary``: axes use the marker's."""
    name = error.name
    allowed = error.allowed.replace("True, or ", f"{name} alone, or ")
    return re.sub(rf"\b{name}=\(([^()]*)\)", lambda m: f"{name}=" + re.sub("[' ]", "", m[1]), allowed)


def parse_vary_lines(value: object) -> dict[str, object]:
    """The lines of the ini file, each ``AXIS`` or ``AXIS=V,V``."""
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, (list, tuple)):
        raise BadArgument("vary", value, "a list of AXIS or AXIS=V,V")
    return dict(parse_vary(each) for each in lines if str(each).strip())


def parse_seconds(value: object, name: str = "companion_timeout") -> float:
    """A time limit."""
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise BadArgument(name, value, "seconds, more than 0")
    return number


def parse_diagnose_seconds(value: object) -> float:
    """The time limit of a diagnosis."""
    return parse_seconds(value, "diagnose_seconds")


def parse_diagnose(value: object) -> str:
    """When to diagnose."""
    if value not in DIAGNOSE_CHOICES:
        raise BadArgument("diagnose", value, 'one of "auto", "always", "never"')
    return str(value)

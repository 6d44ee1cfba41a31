"""Parsers of option values from the command line and the ini file: each raises BadArgument if invalid."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from pytest_repro.core.plan.arguments import (
    MAX_SEEDS,
    BadArgument,
    describe_unknown,
    validate_capture,
    validate_runs,
    validate_seed,
    validate_seeds,
    validate_unseeded,
)

parse_flag = bool
parse_capture, parse_unseeded = validate_capture, validate_unseeded


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
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        span = range(int(first), int(last if dash else first) + 1)
        if span[-1] - span[0] >= MAX_SEEDS:  # an IndexError if it is empty
            raise ValueError
        numbers += span
    return tuple(numbers)


def count_parser(unit: str, minimum: int = 0, hint: str = "") -> Callable[[object], int]:
    """A parser of whole numbers of *unit*; *hint* is added to the message of an invalid one."""

    def parse_count(value: object) -> int:
        number = _parse_int(value)
        if isinstance(number, bool) or not isinstance(number, int) or number < minimum:
            raise BadArgument(unit, number, f"a whole number of {unit}, {minimum} or more{hint}")
        return number

    return parse_count


parse_kilobytes, parse_megabytes = count_parser("kilobytes"), count_parser("megabytes")
parse_tests = count_parser("tests")
parse_noise = count_parser("runs", 2, "; put --repro-noise without a number after the files")


def parse_shard(value: object) -> str:
    """A number of a shard and the number of shards: ``"3/8"``."""
    match = re.fullmatch(r"0*([1-9][0-9]*)/0*([1-9][0-9]*)", str(value))
    if match is None or int(match[1]) > int(match[2]):
        raise BadArgument("shard", value, "its number and the number of shards: 3/8")
    return f"{match[1]}/{match[2]}"


def parse_docs_url(value: object) -> str:
    """An address of the documentation without its trailing slash; pages of HTML reports link to it."""
    text = str(value).rstrip("/")
    if not text.startswith(("https://", "http://", "file://")):
        raise BadArgument("docs_url", value, "an address that begins with https://, http:// or file://")
    return text


def parse_path(value: object, allowed: str = "the path of a file") -> str:
    """A path; *allowed* is for the message of an empty one."""
    if not isinstance(value, str) or not value.strip():
        raise BadArgument("path", value, allowed)
    return value


parse_replay = partial(parse_path, allowed='"record", or the path of a log')


def parse_vary(value: object) -> tuple[str, object]:
    """The axis and its marker argument from ``AXIS`` or ``AXIS=V,V``."""
    from pytest_repro.axes import get_axis, list_axis_names, resolve_axes

    name, equals, rest = str(value).strip().partition("=")
    if name not in list_axis_names():
        raise BadArgument("axis", name, describe_unknown(name, list_axis_names()))
    values = tuple(get_axis(name).parse_option(each.strip()) for each in rest.split(","))
    argument = (values if len(values) > 1 else values[0]) if equals else True
    try:
        resolve_axes({name: argument})
    except BadArgument as error:
        raise BadArgument("vary", str(value).strip(), format_allowed(error)) from None
    return name, argument


def format_allowed(error: BadArgument) -> str:
    """What an axis allows, in the syntax of ``--repro-vary``: axes use the marker's."""
    name = error.name
    allowed = error.allowed.replace("True, or ", f"{name} alone, or ")
    return re.sub(rf"\b{name}=\(([^()]*)\)", lambda m: f"{name}=" + re.sub("[' ]", "", m[1]), allowed)


def parse_vary_lines(value: object) -> dict[str, object]:
    """The axes and their marker arguments from lines, each ``AXIS`` or ``AXIS=V,V``."""
    lines = value.splitlines() or [value] if isinstance(value, str) else value
    if not isinstance(lines, (list, tuple)):
        raise BadArgument("vary", value, "a list of AXIS or AXIS=V,V")
    return dict(parse_vary(line) for line in lines if not lines[1:] or str(line).strip())


def parse_profiles(value: object) -> dict[str, str]:
    """Options by the name of their profile, from lines ``NAME: --repro-OPTION …``."""
    lines = value.splitlines() if isinstance(value, str) else value
    if not isinstance(lines, (list, tuple)):
        raise BadArgument("profiles", value, "a list of lines, each NAME: --repro-runs=5 …")
    profiles: dict[str, str] = {}
    for line in filter(None, map(str.strip, map(str, lines))):
        name, colon, options = line.partition(":")
        if not (colon and name.strip() and options.strip()) or name.strip() in profiles:
            raise BadArgument("profiles", line, "NAME: --repro-runs=5 …, and each name once")
        profiles[name.strip()] = options.strip()
    return profiles


def parse_deterministic(value: object) -> bool | str:
    """The mode of deterministic algorithms."""
    modes: dict[str, bool | str] = {"true": True, "warn": "warn", "false": False}
    mode = modes.get(str(value).lower())
    if mode is None:
        raise BadArgument("deterministic", value, "true, warn or false")
    return mode


def parse_seconds(value: object) -> float:
    """A time limit."""
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise BadArgument("seconds", value, "seconds, more than 0")
    return number


def parse_diagnose(value: object) -> str:
    """When to look for the cause of a mismatch."""
    if value not in ("auto", "always", "never"):
        raise BadArgument("diagnose", value, 'one of "auto", "always", "never"')
    return str(value)


def parse_names(value: object) -> tuple[str, ...]:
    """Names from a list, or from text with spaces or commas between them."""
    words = [*value] if isinstance(value, (list, tuple)) else [value]
    texts = [word for word in words if isinstance(word, str)]
    if texts != words:
        raise BadArgument("packages", value, "a list of distributions or import packages")
    return tuple(name for text in texts for name in re.split(r"[\s,]+", text) if name)

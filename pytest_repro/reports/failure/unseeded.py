"""What a test draws from global generators that nothing in it has seeded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pytest_repro.core.runs.run import UnseededDraw
from pytest_repro.reports.failure import wrap_labelled

_UNKNOWN_LINE = "the line is unknown: in another thread, or in a fixture wider than the test"
_FIXES = {
    "PIL": ("np.random.default_rng(0) and Image.fromarray", "ctypes.CDLL(None).srand(1)"),
    "numpy": ("np.random.default_rng(0)", "np.random.seed(0)"),
    "random": ("random.Random(0)", "random.seed(0)"),
    "torch": ("torch.Generator().manual_seed(0)", "torch.manual_seed(0)"),
}
"""A generator with a seed, and what seeds the global one."""
_ESTIMATOR = re.compile(r"sklearn\.(.*\.)?[A-Z]\w*\.(fit|partial_fit|fit_\w+|transform|sample)$")
"""Methods of estimators: the seed is a parameter of the estimator."""
_NO_SEED = re.compile(rf"torch\.nn\.|transformers\.|PIL\.|{_ESTIMATOR.pattern}")
"""Functions that take no seed."""


def format_failure(nodeid: str, draws: Sequence[UnseededDraw]) -> str:
    """The whole failure of the test *nodeid*."""
    return "\n".join(_format_failure(nodeid, draws))


def _format_failure(nodeid: str, draws: Sequence[UnseededDraw]) -> Iterator[str]:
    yield f"{nodeid} drew random numbers that only pytest-repro seeded (unseeded='fail')\n"
    for draw in draws:
        yield f"  {draw.generator:<8} {draw.location or _UNKNOWN_LINE}   {draw.via}".rstrip()
        if draw.source:
            yield f"  {'':8}     {draw.source}"
    yield ""
    yield from wrap_labelled(
        "why", "without pytest-repro nothing seeds them: each run of the program draws other numbers"
    )
    yield from wrap_labelled("fix", format_fix(draws))


def format_warning(draws: Sequence[UnseededDraw]) -> str:
    """The warning of a test."""
    where = format_headline(draws, 5)
    return f"random numbers that only pytest-repro seeded: {where}. To fix: {format_fix(draws)}"


def format_fix(draws: Sequence[UnseededDraw]) -> str:
    """What to change."""

    def join(texts: Iterable[str]) -> str:
        return " and ".join(dict.fromkeys(texts))

    known = [(draw.via, *_FIXES[draw.generator]) for draw in draws if draw.generator in _FIXES]
    own = join(generator for via, generator, _ in known if not via)
    called = join(via for via, *_ in known if via and not _NO_SEED.match(via))
    parts = [f"draw from a generator with a seed, made once: {own}"] * bool(own)
    parts += ["create the estimator with random_state=0"] * any(_ESTIMATOR.match(via) for via, *_ in known)
    parts += [f"pass a seed to {called}, if it takes one"] * bool(called)
    seeding = f"call {join(call for *_, call in known)}" if known else "seed the generator"
    return "; or ".join([*parts, f"{seeding} in the test or in its fixtures"])


def format_headline(draws: Sequence[UnseededDraw], shown: int) -> str:
    """``numpy at test_a.py:8 (pandas.DataFrame.sample) and 2 more``."""
    parts = [
        draw.generator
        + (f" at {draw.location}" if draw.location else "")
        + (f" ({draw.via})" if draw.via else "")
        for draw in draws
    ]
    more = f" and {len(parts) - shown} more" if len(parts) > shown else ""
    return f"{', '.join(parts[:shown])}{more}"

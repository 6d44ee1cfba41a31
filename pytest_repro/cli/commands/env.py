"""``pytest-repro env``: shows what could change a result on this machine."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
import textwrap
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from pytest_repro import __version__
from pytest_repro.adapters import STANDARD_LIBRARY, active_adapters, environment
from pytest_repro.adapters import __name__ as _ADAPTERS
from pytest_repro.cli.commands import Command, Result
from pytest_repro.core.machine import VARIABLES
from pytest_repro.core.plugins import find_plugins

_DESCRIPTION = """\
Imports the installed libraries and prints their versions, instruction sets and threads, then every
determinism switch with its state and meaning.
"""

_EXAMPLES = """\
examples:
  pytest-repro env
  pytest-repro env --json > env.json
"""


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: Namespace) -> Result:
    return 0, format_json() if options.json else format_text()


command = Command(
    "show the environment and every determinism switch", _DESCRIPTION, _EXAMPLES, _add_arguments, _run
)


_WIDTH = 100


class Switch(NamedTuple):
    """A determinism switch, ``torch cudnn.benchmark``, or an environment variable.

    *state* is its value as text or ``"not set"``; *meaning* is ``""`` for a switch of a third-party adapter.
    """

    name: str
    state: str
    meaning: str


# adapters/_torch/determinism.py has the values set while a marked test runs.
_MEANINGS: Mapping[str, str] = {
    "torch deterministic_algorithms": "on: ops use a deterministic implementation, and raise without one; "
    "warn: they warn instead. In a marked test: set by its marker, on by default",
    "torch fill_uninitialized_memory": "True: with deterministic algorithms, torch.empty is filled, so that "
    "reading it before writing is deterministic. In a marked test: True",
    "torch cudnn.benchmark": "True: cuDNN times its kernels and uses the fastest. In a marked test: False",
    "torch cudnn.deterministic": "True: cuDNN uses deterministic kernels. In a marked test: True",
    "torch mkldnn.deterministic": "True: oneDNN uses deterministic kernels. In a marked test: True",
    r"torch \w+\.\w+\.fp32_precision": "float32 in products and convolutions: ieee keeps 24 bits, tf32 11, "
    "bf16 8; none: inherited from the more general switch",
    "torch float32_matmul_precision": "highest: products of float32 keep all 24 bits; high, medium: fewer",
    "torch cudnn.allow_tf32": "True: convolutions on CUDA may keep 11 of the 24 bits of float32",
    r"torch (fp16|bf16)_reduced_precision": "True: products of float16 or bfloat16 on CUDA may accumulate in "
    "fewer bits",
    r"torch (flash|mem_efficient|math|cudnn)_sdp": "True: attention may use this kernel; each rounds "
    "differently, and shapes and dtypes decide which one is used",
    "torch default_dtype": "dtype of torch.ones(2) and nn.Linear",
    "torch default_device": "device of torch.ones(2); None: the CPU",
    "torch grad_mode": "whether gradients are recorded",
    "torch threads": "threads of one op: sums are split over them, which changes rounding",
    "jax_default_matmul_precision": "float32 in products on accelerators: highest keeps 24 bits; None: fewer",
    "jax_threefry_partitionable": "how threefry splits a key over devices; another value draws other numbers",
    "jax_(default_prng_impl|.*custom_prng|legacy_prng_key|random_seed_offset|.*gumbel)": "how jax.random "
    "draws; another value draws other numbers",
    r"jax_\w+": "a flag of jax.config",
    r"numba.get_num_threads\(\)": "threads of compiled loops over prange",
    r"(sklearn|xgboost)\.get_config\(\)\['\w+'\]": "a setting of set_config",
    "tensorflow TF32": "True: products of float32 on CUDA keep 11 of 24 bits",
    "tensorflow eager functions": "True: tf.function runs its body op by op",
    r"numpy.geterr\(\)": "what numpy does on overflow and division by zero: warn, raise; values are the same",
}


def iter_switches() -> Iterator[Switch]:
    """The switches of every imported library, then the environment variables."""
    for name, adapter in active_adapters().items():
        # The standard library's switches are all environment variables, secrets included.
        switches = adapter.switches() if name != STANDARD_LIBRARY else {}
        for switch, state in switches.items():
            if switch.rpartition(" ")[2] not in VARIABLES:
                yield Switch(switch, state, describe_switch(switch))
    for name, meaning in VARIABLES.items():
        yield Switch(name, os.environ.get(name, "not set"), meaning)


def describe_switch(name: str) -> str:
    """The meaning of a switch; ``""`` if unknown."""
    return next((text for pattern, text in _MEANINGS.items() if re.fullmatch(pattern, name)), "")


def import_libraries() -> dict[str, str]:
    """Imports every installed library that has an adapter; returns the errors by name."""
    errors = {}
    for name in find_plugins(_ADAPTERS):
        if name == STANDARD_LIBRARY or importlib.util.find_spec(name) is None:
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken installation: a shared library is missing
            errors[name] = f"{type(error).__name__}: {error}"
    return errors


def format_json() -> Iterator[str]:
    """:func:`format_text` as JSON: ``{"format": 1, "environment": …, "switches": […]}``."""
    errors = import_libraries()
    content = {
        "format": 1,
        "pytest-repro": __version__,
        "environment": environment(),
        "switches": [switch._asdict() for switch in iter_switches()],
        **({"not imported": errors} if errors else {}),
    }
    yield from json.dumps(content, indent=1).splitlines()


def format_text() -> Iterator[str]:
    """Environment and switches, in lines."""
    errors = {name: f"cannot be imported: {error}" for name, error in import_libraries().items()}
    yield "environment"
    fields = {"pytest-repro": __version__, **environment(), **errors}
    width = max(map(len, fields))
    yield from (f"  {name:<{width}}  {value}" for name, value in fields.items())
    yield ""
    yield "switches"
    switches = list(iter_switches())
    width = max(len(switch.name) for switch in switches)
    for meaning, group in groupby(switches, key=lambda switch: switch.meaning):
        yield from (f"  {switch.name:<{width}}  {switch.state}" for switch in group)
        yield from (f"      {line}" for line in textwrap.wrap(meaning, _WIDTH - 6))

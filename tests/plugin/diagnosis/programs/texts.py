"""The complete text of failures, with varying numbers masked."""

from __future__ import annotations

import re
from textwrap import dedent

from tests.conftest import Result

# fmt: off
GOLDEN = {
    "test_noise_in_training": """
    test_world.py::test_noise_in_training is not reproducible (bit for bit, 2 runs, seed 0)

      loss[2]   float32[]   run N differs from run N
        max abs N, max rel N, max ulp N
        N in run N, N in run N
        first differing step of loss: N (N to N), N later step differs too

      diverged   at op 33 from numpy   net.py:32: it comes from outside torch and differs
      cause      os-entropy at net.py:31
                 numpy.random.default_rng() draws its seed from the operating system
      fix        create one generator with a seed, or repro.rng(), and pass it in: with a seed at this line,
                 each of its 2 calls would give the same numbers
      replay     pytest test_world.py::test_noise_in_training --repro-seed=0 --repro-runs=2
    """,
    "test_trains_a_module_fixture": """
    test_state.py::test_trains_a_module_fixture is not reproducible (bit for bit, 2 runs, seed 0)

      loss   float32[]   run N differs from run N
        max abs N, max rel N, max ulp N
        N in run N, N in run N

      diverged   at op 1 aten.addmm.default   test_state.py:45: an input differs that no op of this run
                 produced
      cause      shared-state at test_state.py:38
                 a run leaves state for the next: fixture model has different values in weight, bias; in
                 fresh processes, runs were equal; the runs first diverged at test_state.py:43, in model
      fix        give fixture model scope='function', or copy what the test changes
      replay     pytest test_state.py::test_trains_a_module_fixture --repro-seed=0 --repro-runs=2
    """,
    "test_gathered": """
    test_kernels.py::test_gathered is not reproducible (bit for bit, 2 runs, seed 0)

      gradient   float32[1000, 64]   run N differs from run N
        N of N elements (N %), max abs N, max rel N, max ulp N
        first at [N, N]: N in run N, N in run N

      diverged   at op 9 aten.index_put.default   backward of net.py:24, called at test_kernels.py:20: equal
                 inputs, different output
      cause      nondeterministic-op at net.py:24
                 aten.index_put.default, in the backward of net.py:24, returned different outputs for equal
                 inputs: its threads add in the order in which they arrive. N of N runs differed from the
                 first; with deterministic algorithms all were equal
      fix        torch.use_deterministic_algorithms(True), which the marker sets unless deterministic=False;
                 or gather with F.embedding or torch.index_select, whose backward adds in order
      replay     pytest test_kernels.py::test_gathered --repro-seed=0 --repro-runs=2 --repro-deterministic=false
    """,  # noqa: E501
    "test_labels": """
    test_world.py::test_labels is not reproducible (bit for bit, 2 runs, seed 0, varied: process)

      process    run to run deterministic; differs between this process and another (PYTHONHASHSEED=N): order

      order   str   differs in process N
        '…' in run N, '…' in process N

      diverged   at op 0 record order   test_world.py:90: no op before it differs
      cause      hash-seed at test_world.py:90
                 an order or a number comes from the hash of text, which each interpreter salts differently;
                 two interpreters with the same PYTHONHASHSEED agree, one with another differs
      fix        sort the set before iterating over it, or use a dict or a list; for a stable number, use
                 zlib.crc32(text.encode())
      ruled out  address-order
      replay     pytest test_world.py::test_labels --repro-seed=0 --repro-runs=2 --repro-vary=process=1
    """,
}
# fmt: on


def read_golden(name: str) -> str:
    return dedent(GOLDEN[name]).strip("\n")


def read_failures(result: Result) -> dict[str, str]:
    """The masked text of each failure, by test name."""
    parts = re.split(r"\n_+ test_\S+ _+\n|\n=+ reproducibility =+\n", result.text)[1:-1]
    return {part.split()[0].partition("::")[2]: mask(part) for part in parts}


def mask(text: str) -> str:
    values, separator, rest = text.partition("\n\n  diverged ")
    head, _, values = values.partition("\n")
    name, _, values = values.partition("run ")
    values = values.replace("over 2**", "")  # of more ulp
    values = re.sub(r"(?<!\w)-?\d(?:[\d,.]*\d)?(?:e[+-]?\d+)?", "N", f"run {values}")
    values = re.sub(r"'[^'\n]*' in", "'…' in", values)
    return f"{head}\n{name}{values}{separator}" + re.sub(r"\d+ of \d+ runs", "N of N runs", rest)

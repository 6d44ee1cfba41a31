"""Checks that no key of JAX is consumed twice."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any

from pytest_repro.core.compare.verdict import NotReproducible
from pytest_repro.engine.runs.current_run import note_assertion
from pytest_repro.interpose.code_owner import classify_code

_FAILURE = """a key of JAX is consumed twice: both draws get the same numbers

  at         {location}
  jax says   {problem}
  fix        split it first, key, subkey = jax.random.split(key), and draw from subkey;
             or derive one for each step, jax.random.fold_in(key, step)"""


class NoKeyReuse:
    """Fails if its block consumes a key of JAX twice."""

    def __enter__(self) -> None:
        jax: Any = sys.modules.get("jax")
        if not hasattr(jax, "debug_key_reuse"):
            raise RuntimeError(
                "assert_no_key_reuse() needs a jax with jax.debug_key_reuse, imported before it"
            )
        self._check, self._error = jax.debug_key_reuse(True), jax.errors.KeyReuseError
        self._check.__enter__()

    def __exit__(self, *raised: Any) -> None:
        __tracebackhide__ = True
        self._check.__exit__(*raised)
        if raised[0] is None:
            note_assertion("no_key_reuse")
        elif issubclass(raised[0], self._error):
            problem = str(raised[1]).strip().splitlines()[0]
            location = _find_user_line(raised[1])
            raise NotReproducible(_FAILURE.format(location=location, problem=problem)) from None


def assert_no_key_reuse() -> NoKeyReuse:
    """A context manager that fails if the block consumes a key of JAX twice.

    What is drawn twice from one key is equal in all runs, so comparing runs cannot show it. JAX itself checks
    typed keys (``jax.random.key``, not ``jax.random.PRNGKey``), also in compiled functions: see
    ``jax_debug_key_reuse``. A key that was consumed before the block counts as new. Two keys of the same seed
    are two keys: pass what was drawn to :func:`assert_distinct_draws`.

    In a marked test that records nothing else, ``no_key_reuse`` is recorded if the block passes.

    Raises:
        NotReproducible: A key is consumed again; the message names the line.
        RuntimeError: At the beginning of the block, if JAX is not imported, or is older than the check.
    """
    return NoKeyReuse()


def _find_user_line(error: Exception) -> str:
    """The last line of the user's that *error* came through."""
    lines = [
        f"{frame.f_code.co_filename}:{number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if classify_code(frame.f_code.co_filename, frame.f_globals.get("__name__", "")) == "user"
    ]
    return lines[-1].removeprefix(os.getcwd() + os.sep) if lines else "an unknown line"

"""Lightning, which is distributed under two import names."""

from __future__ import annotations

from contextlib import AbstractContextManager

from pytest_repro.adapters import Adapter
from pytest_repro.adapters.frameworks._parts.class_names import make_class_finder
from pytest_repro.adapters.frameworks._parts.restored_settings import restored_variables
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.pytree import FlattenResult

_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")
"""What ``seed_everything`` and ``Trainer(deterministic=True)`` set."""


class Lightning(Adapter):
    """Restores what ``seed_everything`` and a ``Trainer`` set; refuses to read trainers.

    *namespace* is the package that defines ``Trainer``.
    """

    def __init__(self, package: str, namespace: str, version: str) -> None:
        self._facts = {package: version}
        self._find_refusal = make_class_finder({
            f"{namespace}.trainer.trainer.Trainer": (
                "is a Trainer, which cannot be recorded: record its module, and trainer.callback_metrics"
            ),
            f"{namespace}.core.datamodule.LightningDataModule": (
                "is a data module, which cannot be recorded: record batches of its loaders"
            ),
        })  # fmt: skip

    def flatten(self, value: object) -> FlattenResult:
        return self._find_refusal(type(value))

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        """Restores the environment variables that Lightning sets in the block."""
        return restored_variables(_VARIABLES)

    def environment(self) -> dict[str, str]:
        return self._facts

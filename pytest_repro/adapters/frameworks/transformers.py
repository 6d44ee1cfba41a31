"""transformers: outputs of models, caches, encodings, features, configurations.

Seeded: nothing of its own: models and `generate()` draw from torch's generators. `set_seed`, also that of a
    `Trainer`, counts as seeding.
Restored: what `enable_full_determinism` sets: five environment variables, and the switches of torch.
Switches: none of its own; torch's hold for its models.
Read: `output.logits`, `output.past_key_values.layers[0].keys`, `batch['input_ids']`, `config.hidden_size`; a
    model as a module of torch.
Captured: outputs, caches, encodings, features and configurations.
Environment: the version of transformers.
Limits: a tokenizer and a `Trainer` cannot be recorded: record what they return. Where a configuration was
    loaded from is not compared. The metrics that `train()` returns hold durations: `train_runtime`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import transformers

from pytest_repro.adapters import Adapter
from pytest_repro.adapters._numpy_arrays import flatten_integers
from pytest_repro.adapters.frameworks._parts.class_names import make_class_finder
from pytest_repro.adapters.frameworks._parts.restored_settings import restored_variables
from pytest_repro.core.plan.plan import Deterministic
from pytest_repro.core.runs.observation import Parts
from pytest_repro.core.runs.pytree import FlattenResult

_VARIABLES = (
    "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "ASCEND_LAUNCH_BLOCKING", "HCCL_DETERMINISTIC",
    "FLASH_ATTENTION_DETERMINISTIC",
)  # fmt: skip
"""What ``enable_full_determinism`` sets."""
_CODE = (FunctionType, MethodType, BuiltinFunctionType, type)
_ORIGINS = ("_name_or_path", "_commit_hash", "transformers_version")
_NO_VALUES = ("device", "indexer_device", "prefetch_stream")
"""Attributes of caches: where their tensors are, which is not compared of any tensor."""


def _flatten_output(output: Any) -> Parts:
    return Parts(type(output).__qualname__, ((f".{name}", part) for name, part in output.items()))


def _flatten_attributes(owner: object) -> Parts:
    named = ((name, part) for name, part in vars(owner).items() if not isinstance(part, _CODE))
    items = ((f".{name}", part) for name, part in named if name not in _NO_VALUES)
    return Parts(type(owner).__qualname__, items, numeric=True)


def _join_numbers(part: Any) -> object:
    """Each list of integers in *part* as one array: a batch has thousands of them."""
    if type(part) is not list or not part:
        return part
    if type(part[0]) is list:
        return [_join_numbers(row) for row in part]
    return flatten_integers(part) if all(type(number) is int for number in part) else part


def _flatten_batch(batch: Any) -> Parts:
    items = [(f"[{name!r}]", _join_numbers(part)) for name, part in batch.data.items()]
    if encodings := getattr(batch, "_encodings", None):
        items.append((".encodings", encodings))
    return Parts(type(batch).__qualname__, items, numeric=True)


def _flatten_configuration(configuration: Any) -> Parts:
    settings = configuration.to_dict()
    items = ((f".{name}", part) for name, part in sorted(settings.items()) if name not in _ORIGINS)
    return Parts(type(configuration).__qualname__, items, numeric=True)


_READERS: dict[str, Callable[[Any], FlattenResult]] = {
    "transformers.utils.generic.ModelOutput": _flatten_output,
    "transformers.cache_utils.Cache": _flatten_attributes,
    "transformers.cache_utils.CacheLayerMixin": _flatten_attributes,
    "transformers.trainer_utils.EvalPrediction": _flatten_attributes,
    "transformers.tokenization_utils_base.BatchEncoding": _flatten_batch,
    "transformers.feature_extraction_utils.BatchFeature": _flatten_batch,
    "transformers.configuration_utils.PreTrainedConfig": _flatten_configuration,
    "transformers.configuration_utils.PretrainedConfig": _flatten_configuration,  # before transformers 5
    "transformers.generation.configuration_utils.GenerationConfig": _flatten_configuration,
    "transformers.tokenization_utils_base.PreTrainedTokenizerBase": lambda _: (
        "is a tokenizer, which cannot be recorded: record what it returns"
    ),
}
"""Classes by their names: transformers imports its modules once they are used."""


_find_reader = make_class_finder(_READERS)


class Transformers(Adapter):
    """What models, tokenizers and feature extractors return, and configurations."""

    def flatten(self, value: object) -> FlattenResult:
        reader = _find_reader(type(value))
        return None if reader is None else reader(value)

    def deterministic(self, mode: Deterministic) -> AbstractContextManager[None]:
        """Restores the environment variables that ``enable_full_determinism`` sets in the block."""
        return restored_variables(_VARIABLES)

    def environment(self) -> dict[str, str]:
        return {"transformers": transformers.__version__}


adapter = Transformers()

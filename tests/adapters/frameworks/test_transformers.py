from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from pytest_repro.adapters import digest, flatten
from pytest_repro.adapters.frameworks._parts.restored_settings import restored_variables
from pytest_repro.core.runs.pytree import iter_leaves
from pytest_repro.engine.runs.pin import pinned
from tests.conftest import Project

transformers = pytest.importorskip("transformers")
torch: Any = pytest.importorskip("torch")
os.environ["HF_HUB_OFFLINE"] = "1"

WORDS = ["[UNK]", "[PAD]", "the", "quick", "brown", "fox"]


def make_model(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    sizes = {"vocab_size": 64, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    tokens = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **tokens)).eval()


def make_tokenizer() -> Any:
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return tokenizer


def encode(texts: list[str], **options: Any) -> Any:
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=make_tokenizer(), pad_token="[PAD]")
    return fast(texts, **options)


def list_kinds(value: object) -> dict[str, str]:
    return {path: leaf.kind for path, leaf, _ in iter_leaves(value, "value", flatten)}


def test_an_output_is_read_by_its_attributes() -> None:
    model, tokens = make_model(), torch.arange(8)[None]
    output = model(tokens, labels=tokens, output_hidden_states=True)
    kinds = list_kinds(output)
    assert (
        kinds.items()
        >= {
            ".loss": "float32[]",
            ".logits": "float32[1, 8, 64]",
            ".hidden_states[2]": "float32[1, 8, 16]",
        }.items()
    )
    assert any(path.endswith(".layers[1].values") for path in kinds)
    assert digest(output) == digest(make_model()(tokens, labels=tokens, output_hidden_states=True))
    assert digest(output) != digest(make_model(1)(tokens, labels=tokens, output_hidden_states=True))


def test_caches_are_read_layer_by_layer() -> None:
    cache = transformers.DynamicCache()
    empty = digest(cache)
    cache.update(torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), 0)
    kinds = list_kinds(cache)
    assert kinds[".layers[0].keys"] == kinds[".layers[0].values"] == "float32[1, 2, 3, 4]"
    assert not any("device" in path for path in kinds)
    assert digest(cache) != empty


@pytest.mark.parametrize("change", [{"n_embd": 32}, {"attn_pdrop": 0.2}, {"id2label": {0: "a", 1: "b"}}])
def test_configurations(change: dict[str, Any]) -> None:
    config = make_model().config
    same = transformers.GPT2Config(**config.to_dict())
    same._name_or_path = "elsewhere"
    assert digest(config) == digest(same) != digest(transformers.GPT2Config(**{**config.to_dict(), **change}))
    assert list_kinds(config)[f".{next(iter(change))}" + ("[0]" if "id2label" in change else "")]


def test_generation_configurations() -> None:
    make = transformers.GenerationConfig
    assert digest(make(top_k=3)) == digest(make(top_k=3)) != digest(make(top_k=4))


def test_an_encoding_has_few_values_for_many_tokens() -> None:
    kinds = list_kinds(encode(["the fox " * 50, "the"]))
    assert kinds["['input_ids'][0]"] == kinds[".encodings[0].ids"] == "int64[100]"
    assert kinds[".encodings[0].offsets"] == "int64[100, 2]"
    assert len(kinds) < 40
    padded = encode(["the quick", "fox"], padding=True, return_tensors="pt")
    assert list_kinds(padded)["['attention_mask']"] == "int64[2, 2]"
    assert digest(encode(["the fox"])) == digest(encode(["the fox"])) != digest(encode(["the dog"]))


def test_the_text_of_tokens_is_compared() -> None:
    first, other = make_tokenizer(), make_tokenizer()
    other.add_tokens(["dog"])
    assert digest(first) == digest(make_tokenizer()) != digest(other)
    assert digest(first.encode("the fox")) == digest(other.encode("the fox"))
    assert digest(first.encode("the dog")) != digest(other.encode("the dog"))


def test_features() -> None:
    def make(value: float) -> Any:
        return transformers.BatchFeature({"pixel_values": torch.full((1, 3), value)})

    assert digest(make(1.0)) == digest(make(1.0)) != digest(make(2.0))
    assert list_kinds(make(1.0)) == {"['pixel_values']": "float32[1, 3]"}


def test_a_tokenizer_of_transformers_is_refused() -> None:
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=make_tokenizer())
    with pytest.raises(TypeError, match="is a tokenizer, which cannot be recorded: record what it return"):
        digest(fast)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "0")
    for name in ("HCCL_DETERMINISTIC", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("block", [lambda: pinned(), lambda: pinned(deterministic=False)])
def test_what_full_determinism_sets_is_restored(environment: None, block: Callable[[], Any]) -> None:
    before = dict(os.environ), torch.backends.cudnn.deterministic, torch.get_deterministic_debug_mode()
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt), block():
        transformers.enable_full_determinism(3)
        assert os.environ["CUDA_LAUNCH_BLOCKING"] == "1" != before[0]["CUDA_LAUNCH_BLOCKING"]
        assert os.environ["HCCL_DETERMINISTIC"] == "1"
        raise KeyboardInterrupt
    after = dict(os.environ), torch.backends.cudnn.deterministic, torch.get_deterministic_debug_mode()
    assert after == before
    assert torch.equal(torch.get_rng_state(), state)


def test_variables_that_a_block_deletes_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_LAUNCH_BLOCKING", "0")
    with restored_variables(["CUDA_LAUNCH_BLOCKING"]):
        del os.environ["CUDA_LAUNCH_BLOCKING"]
    assert os.environ["CUDA_LAUNCH_BLOCKING"] == "0"


PROGRAMS = """
    import pytest
    import torch
    import transformers

    CONFIG = transformers.GPT2Config(
        vocab_size=64, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=1, pad_token_id=1
    )

    def sample():
        model = transformers.GPT2LMHeadModel(CONFIG).eval()
        return model.generate(torch.arange(4)[None], do_sample=True, max_new_tokens=5)

    def test_unseeded(repro):
        repro.record(tokens=sample())

    def test_seeded(repro):
        transformers.set_seed(1)
        repro.record(tokens=sample())

    def test_fully_deterministic(repro):
        transformers.enable_full_determinism(1)
        repro.record(tokens=sample())

    @pytest.fixture(scope="module")
    def cache():
        return transformers.DynamicCache()

    def test_shared_cache(cache, repro):
        cache.update(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), 0)
        repro.record(cache=cache)
"""


def test_causes_and_seeds(project: Project) -> None:
    project.inquires = True
    result = project(PROGRAMS, "--repro-unseeded=fail").check(passed=2, failed=2)
    tests = {test["nodeid"].split("::")[1]: test for test in result.report["tests"]}
    assert [name for name, test in tests.items() if test.get("unseeded")] == ["test_unseeded"]
    assert {each["generator"] for each in tests["test_unseeded"]["unseeded"]} == {"torch"}
    assert tests["test_shared_cache"]["cause"]["name"] == "shared-state"
    result.check(says="transformers.generation.GenerationMixin.generate")
    result.check(says="a run leaves state for the next: fixture cache.layers")

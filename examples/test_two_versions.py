"""Trained with equal seeds, one learning rate is better."""

import torch
from digits import accuracy, network, train

from pytest_repro import Repro, metrics


def trained(seed: int, learning_rate: float) -> float:
    torch.manual_seed(seed)
    model = network()
    for _ in train(model, torch.optim.Adam(model.parameters(), lr=learning_rate)):
        pass
    return accuracy(model)


def test_a_larger_learning_rate_is_better(repro: Repro) -> None:
    seeds = [repro.seed + number for number in range(6)]
    small, large, larger = ([trained(seed, rate) for seed in seeds] for rate in (1e-3, 3e-3, 3.1e-3))
    repro.record(small=small, large=large, larger=larger)

    comparison = metrics.compare_versions(large, small)
    print(comparison)
    assert comparison.verdict == "significant and meaningful"
    assert metrics.compare_versions(larger, large).verdict == "not significant"
    assert metrics.seeds_needed(gamma=0.75) == 29

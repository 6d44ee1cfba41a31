"""Is version A better than version B? Both are trained with the same seeds, and compared pair by pair."""

import torch
from digits import accuracy, network, train

from pytest_repro import metrics


def trained(seed, learning_rate):
    torch.manual_seed(seed)
    model = network()
    for _ in train(model, torch.optim.Adam(model.parameters(), lr=learning_rate)):
        pass
    return accuracy(model)


def test_a_larger_step_is_better_and_a_slightly_larger_one_is_not_known_to_be(repro):
    seeds = [repro.seed + number for number in range(6)]
    small, large, larger = ([trained(seed, rate) for seed in seeds] for rate in (1e-3, 3e-3, 3.1e-3))
    repro.record(small=small, large=large, larger=larger)

    found = metrics.compare_versions(large, small)
    print(found)
    assert found.verdict == "significant and meaningful"
    assert metrics.compare_versions(larger, large).verdict == "not significant"
    assert metrics.seeds_needed(gamma=0.75) == 29

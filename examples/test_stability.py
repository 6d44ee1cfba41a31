"""Prediction stability: how far the predictions of several trainings agree, in all and on parts of the data.

The accuracy on all items may hardly move where that on one class does.
"""

import torch
from digits import dataset, network, train

from pytest_repro import metrics


def predictions(seed):
    """What a training with *seed* reads in the images: int64[1797]."""
    torch.manual_seed(seed)
    model = network()
    for _ in train(model, torch.optim.Adam(model.parameters(), lr=3e-3)):
        pass
    with torch.no_grad():
        return model.eval()(dataset().tensors[0]).argmax(1)


def test_trainings_agree(repro):
    images, truth = dataset().tensors
    runs = torch.stack([predictions(repro.seed + number) for number in range(4)])
    repro.record(predictions=runs)

    found = metrics.stability(runs)
    print(found)  # churn 5.75 %, agreement 94.2 % (4 runs × 1797 items), …
    assert found.churn < 0.2

    by_class = metrics.class_spread(runs, truth)
    print(by_class.widest)  # 8: n 174, mean 82.3 %, std 6.07 %, × 8.07, 76.4 % to 90.8 %
    assert by_class.overall.std < by_class.widest.std < 0.1

    # Is it a nine? Asked of images with little ink and with much.
    ink = images.sum(1)
    pens = ["thin" if each else "bold" for each in ink < ink.median()]
    rates = metrics.subgroup_rates(runs == 9, truth == 9, pens, positive=True)
    print(rates)
    assert all(each.range < 0.2 for each in (*rates.fpr.parts, *rates.fnr.parts))

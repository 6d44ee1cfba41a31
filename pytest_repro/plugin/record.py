"""The object behind the fixture ``repro``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_repro.core.printable import printable
from pytest_repro.engine.replay import Replayed
from pytest_repro.plugin import SETTINGS
from pytest_repro.plugin.act import ACT
from pytest_repro.plugin.assertions import Assertions
from pytest_repro.plugin.inside import only_shown
from pytest_repro.plugin.rank import of_config

if TYPE_CHECKING:
    import numpy
    import torch

    from pytest_repro.engine.instability import Instability
    from pytest_repro.plugin.act import Act

T = TypeVar("T")

_NOTHING: Any = object()


class Repro(Assertions):
    """Records what must stay the same, and knows about the run it is in.

    Attributes:
        seed: Seed of this test, 0 … 2**32 - 1.
        run: Number of this run, from 0; failures call the first one ``run 1``.
        setting: Axis → value of this run; empty where nothing is varied.
        rank: Of the process that this is, from 0, where the marker asks for ``ranks``; else 0.
        world_size: Number of the ranks; else 1.
    """

    __slots__ = ("_act", "_record", "rank", "run", "seed", "setting", "world_size")

    def __init__(self, act: Act) -> None:
        self._act, self._record = act, act.recorder()
        self.seed, self.run = act.seed, act.index
        self.setting: dict[str, Any] = dict(act.cell.setting)
        self.rank, self.world_size = of_config(act.item.config)

    def __repr__(self) -> str:
        return f"<repro: run {self.run + 1}, seed {self.seed}>"  # as failures count runs

    def record(self, name: str | None = None, value: object = _NOTHING, /, **named: object) -> None:
        """Records values, as they are now, to be compared with the other runs'.

        The same name again makes a series: ``loss[0]``, ``loss[1]``, …

        Args:
            name: What the value is called.
            value: A number, text, array, tensor, module, optimiser, generator, or dicts, lists,
                tuples, sets and dataclasses of them.
            **named: More of them: ``record(loss=loss, model=model)``.

        Raises:
            TypeError: A value cannot be recorded; the message names its path and type.
        """
        if name is not None:
            if value is _NOTHING or not isinstance(name, str):
                raise TypeError("record takes a name and a value: record('loss', loss) or record(loss=loss)")
            self._record(name, value)
            if not named:
                return
        for each, its in named.items():
            self._record(each, its)

    def budget(
        self,
        name: str,
        *,
        std: float | None = None,
        range: float | None = None,
        min: float | None = None,
        max: float | None = None,
    ) -> None:
        """What a recorded number may do over the seeds of a sweep; judged once all of them are run.

        See :func:`pytest_repro.metrics.budget`, which judges. Where the sweep is switched off
        (``--repro-seeds=0``), nothing is. Several budgets of one name hold together.

        Args:
            name: As it was recorded; the last step of a series counts.
            std: Largest standard deviation (``ddof=1``) allowed, in the unit of the values.
            range: Largest difference of two seeds allowed, likewise.
            min: Smallest value allowed.
            max: Largest value allowed.

        Raises:
            TypeError: *name* is no text, or a rule no number.
            ValueError: No rule is given, one is NaN or was another number before, or *std* or *range*
                is negative.
            pytest.UsageError: The test has no sweep, so that the budget could never be broken.
        """
        from pytest_repro.metrics.budgets import rules

        if not isinstance(name, str):
            raise TypeError(f"repro.budget: name is a {type(name).__qualname__}: expected a text")
        checked = rules({"std": std, "range": range, "min": min, "max": max})
        commanded = self._act.item.config.stash[SETTINGS].commanded.get("seeds")
        if not self._act.plan.seeds and commanded is None:
            asked = "none are asked: @pytest.mark.reproducible(seeds=20) or --repro-seeds=20"
            raise pytest.UsageError(f"repro.budget({name!r}) is judged over seeds, and {asked}")
        self._act.beside.allow(printable(name), checked)  # as the names of what is recorded are

    @property
    def device(self) -> torch.device:
        """The device of this run, of ranks the GPU of its own; the CPU where the device is not varied."""
        import torch

        name = str(self.setting.get("device", "cpu"))
        return torch.device(name, self.rank) if name == "cuda" and self.world_size > 1 else torch.device(name)

    def tensor(self, value: T) -> T:
        """A copy of a tensor or array, placed at this run's offset where ``alignment`` is varied.

        Args:
            value: A dense tensor or a numpy array, of any shape and dtype.

        Raises:
            TypeError: *value* is neither.
        """
        from pytest_repro.axes.alignment import shifted

        self._act.took.add("alignment")
        return shifted(value, self.setting.get("alignment", 0))

    def probe_instability(
        self, fn: Callable[[Any], Any], tensor: Any, ulps: int = 1, index: int | None = None
    ) -> Instability:
        """Moves one element of *tensor* by *ulps*, calls *fn* again, and says how far the result moved.

        Tells chaos from randomness: a training that amplifies one ulp a thousandfold differs between
        machines whatever is seeded. See :func:`pytest_repro.engine.instability.probe_instability`.

        Args:
            fn: Gives a value, or a list of values, one for each step.
            tensor: A floating tensor or array, of any shape; *fn* is given copies.
            ulps: How far to move, in representable numbers of its dtype; not 0.
            index: Which element, in C order; by default the largest one.

        Raises:
            TypeError: *tensor* is no floating tensor or array, or *fn* gives what cannot be compared.
            ValueError: It has no elements, *ulps* is 0, or *index* is none of its elements.
        """
        from pytest_repro.engine.instability import probe_instability

        return probe_instability(fn, tensor, ulps, index, self.seed)

    @property
    def replayed(self) -> Replayed:
        """A block that takes from outside in each run what it took in the first.

        ``with repro.replayed:`` feeds entropy, clocks and generators that are globals of your
        modules to the block as ``--repro-replay`` feeds them to a whole test; under that option it
        does nothing, for the whole run is fed. Another interpreter (the axes ``process``, ``isa``,
        …) has a first run of its own, whose values are its own.
        """
        return Replayed(self._act.replay)

    def rng(self) -> numpy.random.Generator:
        """A fresh generator, seeded like the test: two of them draw the same."""
        import numpy

        self._act.asked = True
        return numpy.random.default_rng(self.seed)

    def generator(self, device: torch.device | str | None = None) -> torch.Generator:
        """A fresh torch generator, seeded like the test.

        Args:
            device: Where it draws; the CPU by default, so that draws are equal on every device.
        """
        import torch

        self._act.asked = True
        found = torch.Generator(device or "cpu").manual_seed(self.seed)
        if found.device.type != "cpu" and self._act.cell.axis == "device":
            self._act.drew = True
        return found


def of_item(item: pytest.Item) -> Repro | None:
    """The object for the run of *item* that is going on; None where tests are set up and not called.

    Raises:
        pytest.UsageError: The fixture was asked for while the test ran, unknown at collection.
    """
    act = item.stash.get(ACT, None)
    if act is None and only_shown(item.config):
        return None
    if act is None:
        raise pytest.UsageError(
            f"{item.nodeid}: the fixture 'repro' was requested by getfixturevalue(), so the test "
            "was not planned to run again: take it as an argument, or mark the test "
            "@pytest.mark.reproducible"
        )
    return Repro(act)

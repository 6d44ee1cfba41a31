"""What the fixture ``repro`` asserts beside comparing runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_repro.core.completion import Completion

if TYPE_CHECKING:
    from pytest_repro.core.verdict import Verdict
    from pytest_repro.engine.draws import Draws, NoDraws
    from pytest_repro.engine.loader import LoaderDraws
    from pytest_repro.plugin.act import Act


class Assertions:
    """Part of the fixture ``repro``; each is a function of the package as well."""

    __slots__ = ()

    _act: Act
    _record: Callable[[str, object], None]

    seed: int

    def assert_resumable(
        self,
        train: Callable[[Any, int], Any],
        save: Callable[[Any], Any],
        load: Callable[[Any, Any], Any],
        *,
        make: Callable[[], Any],
        at: int,
        steps: int | None = None,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> Verdict:
        """Trains straight against stop, save, load, go on; names what the checkpoint lacks.

        Each time is seeded like the test, and its algorithms are as deterministic as the marker asks.
        See :func:`pytest_repro.assert_resumable`, whose arguments and errors it has. That it holds is
        recorded, as ``resumable``.
        """
        from pytest_repro.engine.resume import assert_resumable

        seed, mode = self.seed, self._act.pin.mode
        verdict = assert_resumable(
            train, save, load,
            make=make, at=at, steps=steps, seed=seed, deterministic=mode, rtol=rtol, atol=atol,
        )  # fmt: skip
        self._record("resumable", True)
        return verdict

    def record_draws(self, draws: Mapping[Any, Any], name: str = "draws") -> None:
        """Records what workers or epochs drew, and fails where two of them drew the same.

        That two workers draw the same numbers, or the second epoch those of the first, is equal in
        every run. Where one drew less than another, it drew the same if that is how the other began.

        Args:
            draws: What each drew, by a name of it (``"worker 0"``, ``"epoch 2"``): numbers of shape
                (draws, …), in the order they were drawn; floats, or many integers.
            name: What they are recorded as.

        Raises:
            AssertionError: Two or more drew the same; the message names them.
            TypeError: *draws* is no mapping of names to numbers.
            ValueError: Fewer than two drew, or one drew nothing.
        """
        from pytest_repro.metrics import duplicates

        found = duplicates(draws)
        self._record(name, dict(draws))
        if found:
            raise AssertionError(f"{name}: {found}")

    def check_loader(self, loader: Any, epochs: int = 2, batches: int | None = None) -> LoaderDraws:
        """Fails where two workers of a ``DataLoader``, or two epochs, draw the same numbers.

        What it draws is recorded, as ``loader``. See :func:`pytest_repro.check_loader`, whose
        arguments and errors it has.
        """
        from pytest_repro.engine.loader import check_loader

        drawn = check_loader(loader, epochs, batches)
        begun = {name: {at: stood[0] for at, stood in of.items()} for name, of in drawn.places.items()}
        self._record("loader", begun)
        return drawn

    def record_tokens(
        self,
        tokens: Any,
        logits: Any = None,
        *,
        name: str = "tokens",
        temperature: float | None = None,
        top_p: float | None = None,
        **sampling: object,
    ) -> None:
        """Records a sequence of tokens; where runs part, the failure says at which one, and how close.

        It names the first index that differs, both candidates, how far their logits are apart there
        in the first run, and the sampling settings. The same name again makes a series. The logits
        are not compared: record them as well if they must stay the same.

        Args:
            tokens: Token ids of shape (steps,), integers; or a list of texts. Lengths may differ.
            logits: What they were taken from, real numbers of shape (steps, vocabulary), or a list
                of rows, one for each token. Those of the first run are kept.
            name: What the sequence is called.
            temperature: As the sampling was asked for.
            top_p: Likewise.
            **sampling: More of them: ``top_k=50``. A setting that differs between runs is a
                difference of its own.

        Raises:
            TypeError: *tokens* is no sequence of tokens, *logits* no numbers, or a setting no number.
            ValueError: *logits* has not one row for each token, *temperature* is negative, or *top_p*
                is not from 0 to 1.
        """
        from pytest_repro.metrics.completions import sampled

        self._record(name, Completion(tokens, logits, {**sampled(temperature, top_p), **sampling}))

    def draws(self) -> Draws:
        """A block that tells which random generators it moved, and which module moved them.

        ``with repro.draws() as drawn:``; afterwards ``print(drawn)``, or ``drawn.found``. See
        :func:`pytest_repro.draws`.
        """
        from pytest_repro.engine.draws import draws

        return draws()

    def no_draws(self) -> NoDraws:
        """A block that must move no random generator: ``with repro.no_draws(): model(images)``.

        Inference that still samples is equal in all runs, since they are seeded equally; this is
        what sees it. That it holds is recorded, as ``no_draws``, where the test records nothing else.
        See :func:`pytest_repro.no_draws`.
        """
        from pytest_repro.engine.draws import NoDraws

        return NoDraws(partial(self._act.recording.hold, "no_draws"))

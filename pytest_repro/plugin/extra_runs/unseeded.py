"""``unseeded=``: one more run of a test finds the lines that draw from unseeded generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_repro.core.compare.verdict import UnseededDrawWarning
from pytest_repro.core.plan.plan import Plan
from pytest_repro.core.runs.run import Run, UnseededDraw
from pytest_repro.engine.runs.generator_states import name_generator
from pytest_repro.plugin.exceptions import UnseededDraws
from pytest_repro.plugin.extra_runs import ExtraRun
from pytest_repro.plugin.extra_runs.seed_check import choose_other_seed
from pytest_repro.plugin.replay_line import format_nodeid
from pytest_repro.plugin.run.warnings import warn_at_item

if TYPE_CHECKING:
    from pytest_repro.plugin.config.settings import Settings
    from pytest_repro.plugin.extra_runs._runner import ExtraRunner
    from pytest_repro.plugin.run.item_runner import ItemRunner

_PROGRESS = "looking for lines that draw from unseeded generators"


class UnseededRun(ExtraRun):
    """Finds the lines of a test that draw from global generators which nothing in it has seeded."""

    order = 5
    purpose = "the lines that draw from unseeded generators"

    def get_request(self, plan: Plan, settings: Settings) -> str:
        return f"--repro-unseeded={plan.unseeded}" if plan.unseeded != "allow" else ""

    def make(self, runner: ExtraRunner) -> tuple[UnseededDraw, ...] | None:
        """Runs the test with another seed, which a test that seeds itself does not notice."""
        watch, reference, seed = runner.draw_watch, runner.reference, choose_other_seed(runner.plan.seed)
        if watch is not None and not watch.libraries:
            return None
        from pytest_repro.engine.experiments.draw_lines import DrawLines

        lines = DrawLines(seed)
        run = runner.run_watched(_PROGRESS, seed, lines.watch_phase)
        if reference is not None and run.outcome != reference.run.outcome:
            lines, watch = DrawLines(runner.plan.seed), None
            runner.run_watched(_PROGRESS, runner.plan.seed, lines.watch_phase)
        return lines.collect_draws(runner.root, watch)

    def judge(self, runner: ItemRunner, run: Run, result: tuple[UnseededDraw, ...]) -> BaseException | None:
        """The failure of a passing test, or None; or warns.

        Raises:
            pytest.fail.Exception: Such warnings are errors.
        """
        if run.outcome != "passed" or not result:
            return None
        from pytest_repro.reports.failure.unseeded import format_failure, format_headline, format_warning

        if runner.plan.unseeded == "warn":
            warn_at_item(runner.item, UnseededDrawWarning, format_warning(result))
            return None
        return UnseededDraws(format_failure(format_nodeid(runner.item), result), format_headline(result, 1))

    def format_lines(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """A line for the tests whose lines are shown nowhere."""
        if count := sum(row.get("drew_unseeded", False) for row in rows):
            tests, them = ("1 test", "it") if count == 1 else (f"{count} tests", "them")
            drew = f"{tests} drew from global generators that nothing in {them} seeded"
            yield f"unseeded  {drew}; --repro-unseeded=fail shows the lines"


def make_unseeded_row(runner: ItemRunner) -> dict[str, Any]:
    """``unseeded``, and whether the session's summary counts the test."""
    results = runner.extra_results
    draws: Any = results.by_kind.get(extra_run.name)
    if draws is None and results.draw_watch is not None:
        lines = results.draw_lines
        found = () if lines is None else lines.collect_draws(str(runner.item.config.rootpath), None)
        first = {draw.generator: draw for draw in reversed(found)}
        names = map(name_generator, results.draw_watch.libraries)
        draws = [first.get(name) or UnseededDraw(name) for name in names]
    if not draws:
        return {}
    keys = ("generator", "location", "via")
    row = [{key: value for key in keys if (value := getattr(draw, key))} for draw in draws]
    # A test that diverged shows more than that its generators need a seed.
    has_diverged = runner.verdict is not None and runner.verdict.outcome == "diverged"
    return {"unseeded": row, "drew_unseeded": runner.plan.unseeded == "allow" and not has_diverged}


extra_run = UnseededRun()

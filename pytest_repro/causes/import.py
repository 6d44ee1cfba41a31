"""The first import of a library, which changes what a run finds: a default, a registry, a list of modules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module

from pytest_repro.causes import Cause, report_not_suspended
from pytest_repro.core.diagnose import Evidence, Finding
from pytest_repro.interpose.patch import passes_through

_MAX_LISTED = 3


class Import(Cause):
    """Modules that only the first run imports; suspended, they are imported before it.

    Their variant lists a module and the site that imports it, one a line.
    """

    explanation = "the first run imports a library, which changes what a run finds"
    fix = "import it at the top of the file"

    def list_variants(self, evidence: Evidence) -> Sequence[str]:
        calls = evidence.calls_for(self.name)
        return ["\n".join(f"{call.display_name} {call.site}" for call in calls)] if calls else []

    def suspend(self, seed: int, variant: str = "") -> AbstractContextManager[None]:
        for line in variant.splitlines():
            module, _, site = line.partition(" ")
            try:
                if not passes_through(site):
                    import_module(module)
            except BaseException as error:  # a module that only the test can import, or that skips it
                report_not_suspended(self.name, f"importing {module} before the runs raises {error!r}")
        return nullcontext()

    def rank(self, evidence: Evidence) -> int:
        return 0  # later, other experiments may have imported the modules

    def build_finding(self, evidence: Evidence, variant: str = "", detail: str = "") -> Finding:
        calls = evidence.calls_for(self.name)
        if not calls:
            return Finding(self.name, "", self.explanation, self.fix)
        # From Python 3.15 on, a package is imported before the import of its module begins.
        imported = dict.fromkeys(call.display_name for call in calls)
        names = [name for name in imported if not any(each.startswith(f"{name}.") for each in imported)]
        listed = ", ".join(names[:_MAX_LISTED]) + " and others" * (len(names) > _MAX_LISTED)
        via = f" (in {calls[0].via})" if calls[0].via else ""
        imports = "this import comes" if len(names) == 1 else "these imports come"
        explanation = (
            f"only the first run imports {listed}{via}, which changes what it finds; "
            f"if {imports} before the runs, they are equal"
        )
        return Finding(self.name, calls[0].location, explanation, f"import {listed} at the top of the file")


cause = Import()

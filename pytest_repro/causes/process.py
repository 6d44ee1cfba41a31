"""Another process: something of it that is neither its hash seed nor its addresses."""

from __future__ import annotations

from typing import ClassVar

from pytest_repro.causes import AxisCause


class Process(AxisCause):
    """The axis is the cause: repeatable at each value, different between them."""

    explanation_template: ClassVar = (
        "two fresh processes with one hash seed differ, whatever the layout of their memory: something of"
        " the process itself goes in (its number, its working folder, its environment, when it was "
        "started)"
    )
    fix: ClassVar = (
        "look for os.getpid(), os.environ, the working folder, host and temporary names in what is computed"
    )


cause = Process()

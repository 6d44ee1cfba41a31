"""Frozen records and pure functions, on the standard library alone.

A :class:`~pytest_repro.core.plan.plan.Plan` says what is requested, a
:class:`~pytest_repro.core.runs.run.Run` what one run did, an
:class:`~pytest_repro.core.runs.observation.Observation` what it computed, a
:class:`~pytest_repro.core.compare.mismatch.Mismatch` where two runs differ, and a
:class:`~pytest_repro.core.compare.verdict.Verdict` what follows.
"""

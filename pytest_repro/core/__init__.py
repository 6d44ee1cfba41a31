"""Floor 0: the nouns (frozen records) and pure functions, on the standard library alone.

A :class:`~pytest_repro.core.plan.Plan` says what is asked, a :class:`~pytest_repro.core.run.Run`
what one run did, an :class:`~pytest_repro.core.observation.Observation` what it computed, a
:class:`~pytest_repro.core.mismatch.Mismatch` where two runs differ, a
:class:`~pytest_repro.core.verdict.Verdict` what follows.
"""

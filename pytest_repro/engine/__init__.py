"""A plan times a call gives a verdict. No pytest here: ``check`` and the plugin share it.

:class:`~pytest_repro.engine.runs.pin.Pin` holds generators and switches,
:class:`~pytest_repro.engine.runs.trial.Trial` collects the runs and judges them,
:class:`~pytest_repro.engine.runs.recording.Recording` is what one run writes into.
"""

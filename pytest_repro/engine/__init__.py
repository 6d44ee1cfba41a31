"""Floor 4: a plan times a call gives a verdict. No pytest here: ``check`` and the plugin share it.

:class:`~pytest_repro.engine.pin.Pin` holds generators and switches,
:class:`~pytest_repro.engine.trial.Trial` collects the runs and judges them,
:class:`~pytest_repro.engine.recording.Recording` is what one run writes into.
"""

"""Floor 3: other interpreters that run for us, one for each setting, as long as the session.

:class:`~pytest_repro.companions.companion.Companion` is started, asked and stopped here;
:mod:`~pytest_repro.companions.far` is what lives over there; :mod:`~pytest_repro.companions.wire`
is a run on its way between the two, as plain data. execnet connects them: what starts an
interpreter beside this one also starts one on another host.
"""

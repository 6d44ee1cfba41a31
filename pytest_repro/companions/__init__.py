"""Other interpreters that run for us, one for each setting, as long as the session.

:class:`~pytest_repro.companions.companion.Companion` starts, asks and stops one;
:mod:`~pytest_repro.companions.remote_main` runs inside it;
:mod:`~pytest_repro.companions.serialize_run` turns a run into plain data on the way.

execnet connects them: what starts an
interpreter beside this one also starts one on another host.
"""

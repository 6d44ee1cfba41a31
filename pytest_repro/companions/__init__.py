"""Other interpreters that run for this one, one per setting, until the session ends.

:class:`~pytest_repro.companions.companion.Companion` starts and stops one and exchanges messages with
it; :mod:`~pytest_repro.companions.remote_main` runs inside it;
:class:`~pytest_repro.companions.pool.CompanionPool` keeps several;
:mod:`~pytest_repro.companions.serialize_run` turns a run into plain data.

execnet connects them, so an interpreter may also run on another host.
"""

"""Calls that a program makes to the outside world, logged or answered differently.

:func:`~pytest_repro.interpose.call_log.log_calls` logs calls with file and line;
:func:`~pytest_repro.interpose.patch.patch_everywhere` replaces the functions. Both replace a
function under every name by which user code refers to it, and restore all of them.
"""

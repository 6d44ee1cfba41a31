"""Floor 1: what a program asks of the world outside, heard or answered otherwise, for a block.

:func:`~pytest_repro.interpose.call_log.log_calls` notes calls with file and line;
:func:`~pytest_repro.interpose.patch.patch_everywhere` gives other answers. Both replace
functions under every name that user code holds them by, and put all of them back.
"""

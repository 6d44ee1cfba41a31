"""One task at a time, in the order in which tasks start: how ``completion-order`` is suspended."""

"""The state of a process: captured, compared, restored."""

"""The JSON report: written, read back, checked."""

FORMAT = 1
"""Version of the JSON report."""

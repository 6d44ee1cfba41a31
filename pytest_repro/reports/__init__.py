"""Floor 5: a verdict as text, as JSON, as properties. Reads records, decides nothing."""

FORMAT = 1
"""Of the JSON report."""

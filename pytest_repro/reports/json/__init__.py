"""The JSON report, format 1."""

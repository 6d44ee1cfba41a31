"""Verdicts as text, JSON, HTML and GitHub annotations. Reads records and decides nothing."""

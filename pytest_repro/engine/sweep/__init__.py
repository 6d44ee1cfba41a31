"""Summaries of runs over seeds and modes."""

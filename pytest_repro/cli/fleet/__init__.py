"""Compares the reports of many machines: which of them compute the same, and what these have in common."""

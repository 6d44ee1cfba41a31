"""Comparison with golden files, and their storage."""

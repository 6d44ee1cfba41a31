"""Assertions that work with and without pytest."""

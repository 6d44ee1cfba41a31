"""Runs of a function, without pytest."""

"""Experiments on a test that is not reproducible, and what they show."""

"""Replacements of the clocks of libraries."""

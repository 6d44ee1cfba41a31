"""Adapters of libraries of arrays and numbers."""

"""Adapters of libraries of tables and labeled data."""

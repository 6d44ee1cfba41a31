"""Bytes of values: digests, storage under a budget, differences. Imports neither torch nor pytest."""

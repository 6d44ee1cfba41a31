"""Runs in other processes: companions of an axis, forks for a diagnosis, ranks."""

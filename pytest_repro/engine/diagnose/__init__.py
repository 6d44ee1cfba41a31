"""Finds the cause of a mismatch: suspends one suspect after another until runs are equal."""

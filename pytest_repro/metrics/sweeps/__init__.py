"""Compares two sweeps over seeds: whether a headline value has shifted, and which shift could be seen."""

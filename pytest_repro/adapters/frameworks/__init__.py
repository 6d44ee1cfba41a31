"""Adapters of libraries of models and environments."""

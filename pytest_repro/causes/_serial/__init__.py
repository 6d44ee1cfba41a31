"""Runs threads, tasks and processes one after another, and returns results in order of submission."""

"""Merges the reports of shards into one."""

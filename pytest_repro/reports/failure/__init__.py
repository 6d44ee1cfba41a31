"""Failure texts: what differs, why, and how to see it again."""

"""The verdict of an item, and its comparison with golden files."""

"""Parts of the adapter of scipy."""

"""Parts of the adapter of torch."""

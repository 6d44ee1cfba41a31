"""Parts of the torch adapter."""

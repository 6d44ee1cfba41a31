"""Parts of the numpy adapter."""

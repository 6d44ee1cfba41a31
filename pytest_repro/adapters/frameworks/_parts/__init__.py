"""Parts that several adapters of frameworks share."""

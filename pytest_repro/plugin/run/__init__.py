"""One run of one item, unseen by others."""

"""Why processes differ: what they import, their hash seeds and addresses, what earlier tests left."""

"""The hooks of a session, and what it writes at its end."""

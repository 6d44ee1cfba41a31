"""Floor 5: a verdict as text, as JSON, as properties. Reads records, decides nothing."""

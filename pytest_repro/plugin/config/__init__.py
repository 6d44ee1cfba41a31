"""Options and markers, resolved to settings and plans."""

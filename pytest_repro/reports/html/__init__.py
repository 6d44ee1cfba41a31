"""The HTML report: one page that needs nothing but itself, and the drawings on it."""

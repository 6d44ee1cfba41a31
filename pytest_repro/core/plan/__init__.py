"""What is requested of a test."""

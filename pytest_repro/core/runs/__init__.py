"""What one run did and observed."""

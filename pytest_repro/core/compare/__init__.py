"""What differs between runs, and the verdict that follows."""

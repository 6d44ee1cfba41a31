"""What is stored of a test for later sessions and for other machines."""

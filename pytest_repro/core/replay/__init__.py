"""What a run took from outside the program, to replay it in other runs."""

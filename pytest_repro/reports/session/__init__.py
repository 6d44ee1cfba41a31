"""The section that a session prints at its end, and its rows about runs that are not compared."""

"""The history of values over commits, machines and versions, in one SQLite file."""

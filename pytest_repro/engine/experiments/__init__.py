"""Runs of a test under changed conditions, in forks, and what each run leaves behind."""

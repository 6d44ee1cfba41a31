"""The torch ops and the lines of a run, in order."""

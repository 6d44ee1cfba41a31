"""The runs of one test or function: made, recorded, measured, judged."""

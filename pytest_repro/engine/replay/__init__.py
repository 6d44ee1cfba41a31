"""Records what a run takes from outside, and replays it in other runs."""

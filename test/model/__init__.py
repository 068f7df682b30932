"""The two decide functions against an environment that does its worst, explored state by state."""

"""Which windows are kept: checks, duplicates, and the choice of a target number."""

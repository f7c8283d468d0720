"""Endless music: generated ahead of what is heard."""

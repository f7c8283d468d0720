"""Measurements of songs and features of their windows."""

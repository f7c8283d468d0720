"""Prompts over time: keyframes, curves, scores as text."""

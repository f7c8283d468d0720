"""Captions: the template, and where its fields come from."""

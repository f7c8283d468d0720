"""Curation of windows: quality checks, duplicate detection, and choice of a target number."""

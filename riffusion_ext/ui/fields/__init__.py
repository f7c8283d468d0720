"""Input components of the pages."""

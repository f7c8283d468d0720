"""Training sets: songs are cut into windows, measured, curated, captioned and written."""

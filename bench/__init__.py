"""Side-by-side measurements against the original recipe: ``python -m bench --help``."""

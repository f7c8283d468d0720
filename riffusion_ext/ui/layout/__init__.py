"""Parts that the pages have in common."""
